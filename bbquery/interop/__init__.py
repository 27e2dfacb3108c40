"""Bridges to libraries that explain models: a plain function, with budget, store and client behind it.

from bbquery.interop import predict_fn

with predict_fn("efficientnet", max_queries=1000) as predict:
    LimeImageExplainer().explain_instance(predict.fit("photo.jpg"), predict)
    print(predict.tally)
"""

from bbquery.interop.predict import Predict, Unanswered, predict_fn
from bbquery.interop.session import Tally

__all__ = ["Predict", "Tally", "Unanswered", "predict_fn"]
