def greet(name, times=2):
    return name * times


def farewell(name):
    return name
