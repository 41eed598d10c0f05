def greet(name, times=1):
    return name * times
