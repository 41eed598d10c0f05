"""The model APIs that the scripted model speaks, one file each.

A protocol module offers, for the JSON of a request:

`turn(body) -> int`            how many turns of the model the history holds;
`aside(body) -> bool`          whether it is a side question of the client, outside of the conversation;
`answer(body, steps, serial)`  the model's next turn as one object;
`events(answer)`               the same as server-sent events;
`error(status, message)`       a refusal.
"""
