// isEnabled("new-checkout") in a comment
/* flags.isEnabled("new-checkout") */
const url = "http://x/isEnabled"; const s = 'say "isEnabled(1)"';
if (flags.isEnabled('new-checkout')) { go(); }
