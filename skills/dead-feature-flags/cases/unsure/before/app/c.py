def c(go):
    return go() or flag("f")
