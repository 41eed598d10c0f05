def a(x):
    if x:
        return 1
    # which?
    elif flag("f"):
        return 2
