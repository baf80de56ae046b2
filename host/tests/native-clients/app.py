def handler(event, context):
    if event.get("fail"):
        raise ValueError("as asked")
    return {"echo": event}
