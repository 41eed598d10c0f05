from flags import is_enabled


def checkout(cart):
    if is_enabled("new-checkout"):
        # the new way
        total = sum(cart)
        return ("new",  total)
    else:
        return old(cart)
    if not is_enabled("new-checkout"):
        return None


def search(query, user):
    # is_enabled("new-checkout") in a comment is no use
    if is_enabled("new-checkout") and user or is_enabled("beta-search"):
        query = query.lower()
    name = 'is_enabled("new-checkout")'
    label = "v2" if is_enabled("new-checkout") else "v1"
    return query, name, label


def ghost():
    return is_enabled("ghost")
