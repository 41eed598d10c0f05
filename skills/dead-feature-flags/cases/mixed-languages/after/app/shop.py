from flags import is_enabled


def checkout(cart):
    # the new way
    total = sum(cart)
    return ("new",  total)


def search(query, user):
    # is_enabled("new-checkout") in a comment is no use
    if user or is_enabled("beta-search"):
        query = query.lower()
    name = 'is_enabled("new-checkout")'
    label = "v2"
    return query, name, label


def ghost():
    return is_enabled("ghost")
