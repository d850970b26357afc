"""How much do deployment rounds give: serve, hear people, retrain, serve again?"""
