"""Bridges to libraries that explain or attack models: an oracle as what they take, within a budget and over the store.

from bbquery.interop import predict_fn

with predict_fn("efficientnet", max_queries=1000) as predict:
    LimeImageExplainer().explain_instance(predict.fit("photo.jpg"), predict)
    print(predict.tally)
"""

from bbquery.interop.models import art_classifier, foolbox_model
from bbquery.interop.predict import Predict, predict_fn
from bbquery.interop.randomness import seeded
from bbquery.interop.reference import Unanswered
from bbquery.interop.session import Tally
from bbquery.interop.surrogates import gradient_of, values_of

__all__ = [
    "Predict",
    "Tally",
    "Unanswered",
    "art_classifier",
    "foolbox_model",
    "gradient_of",
    "predict_fn",
    "seeded",
    "values_of",
]
