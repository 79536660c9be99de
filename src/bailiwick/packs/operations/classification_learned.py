"""A text classifier learned from an organization's own history; its words can be read back, its bytes hold no code."""

import io
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Self

import numpy as np
import orjson
from numpy.typing import NDArray

from bailiwick.kernel.errors import CannotDetermineError, InvalidInputError
from bailiwick.kernel.loading import load
from bailiwick.packs.operations.calibration import Calibration, fit_calibration
from bailiwick.packs.operations.issue_text import IssueText, words
from bailiwick.packs.operations.lexicon import Evidence, Where, structure_of

MIN_SAMPLES = 20
MIN_TARGETS = 2
MIN_PER_TARGET = 3
MAX_SAMPLES = 50_000
MAX_TERMS = 12_000
"""Fewer samples than ``MIN_SAMPLES`` teach nothing; of more than ``MAX_SAMPLES`` the latest count."""

INVERSE_REGULARIZATION = 5.0
"""Chosen among 1, 5 and 30 by forward validation inside the training part of two real histories."""

RARE_TERMS_FROM = 50
"""Samples from which a term seen once is left out."""

FORWARD_CUTS = (0.4, 0.6, 0.8, 1.0)
_FORMAT = 1
_MAX_CODE_LINES = 60


@dataclass(frozen=True)
class TextSample:
    """One labelled text; ``observed_at`` orders the history."""

    text: IssueText
    target: str
    observed_at: datetime


@dataclass(frozen=True)
class TextPrediction:
    """The likeliest target, the calibrated confidence in it, all probabilities, the terms that spoke for it."""

    target: str
    confidence: float
    probabilities: Mapping[str, float]
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True)
class TextModel:
    """What a fit leaves: terms with their weights. ``weights`` is targets x terms."""

    targets: tuple[str, ...]
    terms: tuple[str, ...]
    idf: NDArray[np.float32]
    weights: NDArray[np.float32]
    intercepts: NDArray[np.float32]
    calibration: Calibration
    samples: int
    trained_until: datetime


class TextClassifier:
    """TF-IDF terms and multinomial logistic regression, calibrated on later history than it was fitted on."""

    def __init__(self, model: TextModel | None = None) -> None:
        self._load(model)

    def _load(self, model: TextModel | None) -> None:
        self._model = model
        self._index = {} if model is None else {term: number for number, term in enumerate(model.terms)}

    @property
    def model(self) -> TextModel:
        """The fitted model.

        Raises:
            CannotDetermineError: ``fit`` has not run.
        """
        if self._model is None:
            raise CannotDetermineError("a fitted text classifier")
        return self._model

    @property
    def samples(self) -> int:
        """Labelled texts the fit has seen; 0 before it."""
        return 0 if self._model is None else self._model.samples

    def fit(self, samples: Sequence[TextSample]) -> Self:
        """Learn from labelled texts; deterministic for the same samples.

        Targets with fewer than ``MIN_PER_TARGET`` samples are left out. The
        confidence is calibrated on forward validation: each part of the history
        is predicted by a model that saw only what came before it.

        Raises:
            CannotDetermineError: too few samples or fewer than two targets.
        """
        usable = _usable(samples)
        documents = [terms_of(sample.text) for sample in usable]
        labels = [sample.target for sample in usable]
        times = [sample.observed_at for sample in usable]
        calibration = _forward_calibration(documents, labels, times)
        self._load(replace(_fit_model(documents, labels, times[-1]), calibration=calibration))
        return self

    def predict(self, text: IssueText) -> TextPrediction:
        """Return the likeliest target with its calibrated confidence and the terms that drove it.

        Raises:
            CannotDetermineError: ``fit`` has not run.
        """
        model = self.model
        columns, values, terms = self._vector(terms_of(text))
        raw = self._raw(columns, values)
        best = int(np.argmax(raw))
        confidence = model.calibration.apply(float(raw[best]))
        rest = 1.0 - float(raw[best])
        scale = (1.0 - confidence) / rest if rest > 0.0 else 0.0
        probabilities = {target: float(p) * scale for target, p in zip(model.targets, raw, strict=True)}
        probabilities[model.targets[best]] = confidence
        return TextPrediction(
            model.targets[best], confidence, probabilities, self._evidence(best, columns, values, terms)
        )

    def to_bytes(self) -> bytes:
        """Return the model as a compressed npz archive without pickled objects."""
        model = self.model
        header = {
            "format": _FORMAT,
            "targets": model.targets,
            "terms": model.terms,
            "calibration": model.calibration.to_document(),
            "samples": model.samples,
            "trained_until": model.trained_until.isoformat(),
        }
        out = io.BytesIO()
        np.savez_compressed(
            out,
            header=np.frombuffer(orjson.dumps(header), dtype=np.uint8),
            idf=model.idf,
            weights=model.weights,
            intercepts=model.intercepts,
        )
        return out.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "TextClassifier":
        """Read what ``to_bytes`` wrote; runs nothing that is in it.

        Raises:
            InvalidInputError: it is damaged or of an unknown format.
        """
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                header = orjson.loads(archive["header"].tobytes())
                model = _model_of(header, archive["idf"], archive["weights"], archive["intercepts"])
        except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise InvalidInputError(f"not a stored text classifier: {error}") from error
        return cls(model)

    def _raw(self, columns: NDArray[np.int64], values: NDArray[np.float32]) -> NDArray[np.float64]:
        return _softmax(self.model.weights[:, columns] @ values + self.model.intercepts)

    def top(self, terms: Sequence[str]) -> tuple[str, float]:
        """Return the likeliest target of a text given as ``terms_of`` it, with the uncalibrated confidence."""
        columns, values, _ = self._vector(terms)
        raw = self._raw(columns, values)
        best = int(np.argmax(raw))
        return self.model.targets[best], float(raw[best])

    def _vector(self, terms: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.float32], list[str]]:
        counts = Counter(term for term in terms if term in self._index)
        known = list(counts)
        columns = np.array([self._index[term] for term in known], dtype=np.int64)
        values = (1.0 + np.log(np.array([counts[term] for term in known], dtype=np.float32))) * self.model.idf[columns]
        norm = float(np.linalg.norm(values))
        return columns, (values / norm if norm else values).astype(np.float32), known

    def _evidence(
        self, best: int, columns: NDArray[np.int64], values: NDArray[np.float32], terms: list[str], limit: int = 8
    ) -> tuple[Evidence, ...]:
        weights = self.model.weights[:, columns]
        # Against the mean of all targets: a term that speaks for every target speaks for none.
        shares = values * (weights[best] - weights.mean(axis=0))
        order = np.argsort(-shares, kind="stable")[:limit]
        target = self.model.targets[best]
        return tuple(
            Evidence(_bare(terms[i]), _where(terms[i]), round(float(shares[i]), 4), target)
            for i in order
            if shares[i] > 0
        )


def terms_of(text: IssueText) -> list[str]:
    """Return the features of a text: words and word pairs, title words again, code words, structure."""
    title = words(text.title)
    body = words(text.prose)
    code = [word for line in text.code_lines[:_MAX_CODE_LINES] for word in words(line)]
    terms = [*title, *body]
    terms.extend(f"title:{word}" for word in title)
    for sequence in (title, body):
        terms.extend(f"{first} {second}" for first, second in pairwise(sequence))
    terms.extend(f"code:{word}" for word in code)
    terms.extend(f"has:{name}" for name in structure_of(text))
    return terms


def _bare(term: str) -> str:
    return term.split(":", 1)[-1]


def _where(term: str) -> Where:
    if term.startswith("title:"):
        return "title"
    return "structure" if term.startswith(("has:", "code:")) else "body"


def _usable(samples: Sequence[TextSample]) -> list[TextSample]:
    counts = Counter(sample.target for sample in samples)
    usable = [sample for sample in samples if counts[sample.target] >= MIN_PER_TARGET]
    if len(usable) < MIN_SAMPLES or len({sample.target for sample in usable}) < MIN_TARGETS:
        raise CannotDetermineError(
            f"labelled history (at least {MIN_SAMPLES} issues with two targets of {MIN_PER_TARGET} or more, "
            f"there are {len(usable)})"
        )
    usable.sort(key=lambda sample: sample.observed_at)
    return usable[-MAX_SAMPLES:]


def _forward_calibration(
    documents: Sequence[Sequence[str]], labels: Sequence[str], times: Sequence[datetime]
) -> Calibration:
    confidences: list[float] = []
    correct: list[bool] = []
    cuts = [int(len(labels) * cut) for cut in FORWARD_CUTS]
    for start, end in pairwise(cuts):
        if start < MIN_SAMPLES // 2 or len(set(labels[:start])) < MIN_TARGETS:
            continue
        past = TextClassifier(_fit_model(documents[:start], labels[:start], times[start - 1]))
        for terms, label in zip(documents[start:end], labels[start:end], strict=True):
            target, confidence = past.top(terms)
            confidences.append(confidence)
            correct.append(target == label)
    return fit_calibration(confidences, correct)


def _fit_model(documents: Sequence[Sequence[str]], labels: Sequence[str], trained_until: datetime) -> TextModel:
    # scikit-learn takes seconds to import and only a fit needs it; a server that only predicts starts without it.
    vectorizer = load("sklearn.feature_extraction.text").TfidfVectorizer(
        analyzer=_as_is,
        sublinear_tf=True,
        min_df=2 if len(labels) >= RARE_TERMS_FROM else 1,
        max_features=MAX_TERMS,
    )
    features = vectorizer.fit_transform(documents)
    # Balanced: an outage or a breach is rare, and missing it costs more than one misread routine issue.
    estimator = load("sklearn.linear_model").LogisticRegression(
        C=INVERSE_REGULARIZATION, class_weight="balanced", max_iter=500
    )
    # One thread: the matrices are sparse, so more of them wait for one another, turning, and take the cores from tasks.
    with load("threadpoolctl").threadpool_limits(1):
        estimator.fit(features, list(labels))
    weights, intercepts = np.asarray(estimator.coef_), np.asarray(estimator.intercept_)
    if len(weights) == 1:
        weights, intercepts = np.vstack([np.zeros_like(weights), weights]), np.append([0.0], intercepts)
    return TextModel(
        targets=tuple(str(target) for target in estimator.classes_),
        terms=tuple(str(term) for term in vectorizer.get_feature_names_out()),
        idf=np.asarray(vectorizer.idf_, dtype=np.float32),
        weights=weights.astype(np.float32),
        intercepts=intercepts.astype(np.float32),
        calibration=Calibration(),
        samples=len(labels),
        trained_until=trained_until,
    )


def _model_of(
    header: Mapping[str, object],
    idf: NDArray[np.float32],
    weights: NDArray[np.float32],
    intercepts: NDArray[np.float32],
) -> TextModel:
    if header["format"] != _FORMAT:
        raise ValueError(f"format {header['format']!r} is unknown, this version reads {_FORMAT}")
    targets, terms, calibration = header["targets"], header["terms"], header["calibration"]
    if not isinstance(targets, list) or not isinstance(terms, list) or not isinstance(calibration, dict):
        raise ValueError("the header is incomplete")
    if idf.shape != (len(terms),) or weights.shape != (len(targets), len(terms)) or intercepts.shape != (len(targets),):
        raise ValueError("the arrays do not fit the header")
    return TextModel(
        targets=tuple(str(target) for target in targets),
        terms=tuple(str(term) for term in terms),
        idf=idf.astype(np.float32),
        weights=weights.astype(np.float32),
        intercepts=intercepts.astype(np.float32),
        calibration=Calibration.from_document(calibration),
        samples=int(str(header["samples"])),
        trained_until=datetime.fromisoformat(str(header["trained_until"])),
    )


def _as_is(document: Sequence[str]) -> Sequence[str]:
    return document


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    shifted = np.exp(logits.astype(np.float64) - float(logits.max()))
    return shifted / shifted.sum()
