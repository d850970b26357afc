"""The tables. ``seq`` columns give the order of arrival, which watermarks are made of. Changed by migrations only."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    false,
    text,
    true,
)

metadata = MetaData()
_Seq = BigInteger().with_variant(Integer, "sqlite")  # SQLite autoincrements INTEGER only


def _partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


meta = Table("meta", metadata, Column("key", String, primary_key=True), Column("value", Text, nullable=False))

exchanges = Table(
    "exchanges",
    metadata,
    Column("seq", _Seq, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("at", Float, nullable=False),
    Column("model", String, nullable=False),
    Column("release", String, nullable=False),
    Column("fingerprint", String, nullable=False),
    Column("arm", String, nullable=False),
    Column("propensity", Float, nullable=False),
    Column("request", JSON, nullable=False),
    Column("response", JSON),
    Column("status", Integer, nullable=False),
    Column("latency_s", Float, nullable=False),
    Column("first_token_s", Float),
    Column("user", String),
    Column("episode", String),
    Column("train", Boolean, nullable=False),
    Column("error", Text),
    Column("endpoint", String, nullable=False, server_default="chat.completions"),
    Column("store", Boolean, nullable=False, server_default=true()),
    Column("upstream_id", String),
    Column("conversation", BigInteger),
    Column("expired", Boolean, nullable=False, server_default=false()),  # its text is gone by retention
    Index("exchanges_release", "release"),
    Index("exchanges_user", "user"),
    _partial("exchanges_episode", "episode", "seq", where="episode IS NOT NULL"),
    _partial("exchanges_conversation", "conversation", "seq", where="conversation IS NOT NULL"),
    _partial("exchanges_withheld", "episode", where="NOT store AND episode IS NOT NULL"),
    _partial("exchanges_unexpired", "at", where="NOT expired"),
)

feedback = Table(
    "feedback",
    metadata,
    Column("seq", _Seq, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("at", Float, nullable=False),
    Column("kind", String, nullable=False),
    Column("value", JSON, nullable=False),
    Column("exchange_id", String),
    Column("episode_id", String),
    Column("choice", Integer, nullable=False),
    Column("source", String, nullable=False),
    Column("user", String),
    Column("comment", Text),
    Column("supersedes", String),
    Column("metadata", JSON, nullable=False),
    Column("expired", Boolean, nullable=False, server_default=false()),
    Index("feedback_exchange", "exchange_id"),
    _partial("feedback_episode", "episode_id", where="episode_id IS NOT NULL"),
    _partial("feedback_unexpired", "at", where="NOT expired"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String, primary_key=True),  # the part of the key that may be shown
    Column("name", String, nullable=False),
    Column("hash", String, nullable=False),  # SHA-256 of the whole key
    Column("role", String, nullable=False),
    Column("per_minute", Integer),  # requests; None: no limit
    Column("at_once", Integer),
    Column("at", Float, nullable=False),
    Column("last_used", Float),
    Column("revoked", Float),
)

# What operators decided about people, appended; the last row on a person stands. What was found is worked out anew.
quarantine = Table(
    "quarantine",
    metadata,
    Column("seq", _Seq, primary_key=True, autoincrement=True),
    Column("user", String, nullable=False),
    Column("out", Boolean, nullable=False),  # kept out of training; False: let in, whatever is found
    Column("at", Float, nullable=False),
    Column("who", String, nullable=False),
    Column("why", Text, nullable=False),
)

# Ids of exchanges that went with a forgotten person: what is said of them later has nothing to join.
forgotten = Table(
    "forgotten",
    metadata,
    Column("id", String, primary_key=True),
    Column("at", Float, nullable=False),
)

problems = Table(
    "problems",
    metadata,
    Column("key", String, primary_key=True),
    Column("source", String, nullable=False),
    Column("messages", JSON, nullable=False),
    Column("reference", Text),
    Column("verifier", String, nullable=False),
    Column("segment", String, nullable=False),
    Column("metadata", JSON, nullable=False),
)

chunks = Table(
    "chunks",
    metadata,
    Column("turn", Integer, primary_key=True),
    Column("index", Integer, primary_key=True),
    Column("seed", BigInteger, nullable=False),
    Column("release", String, nullable=False),
    Column("fingerprint", String, nullable=False),
    Column("at", Float, nullable=False),
    Column("expired", Boolean, nullable=False, server_default=false()),
)

attempts = Table(
    "attempts",
    metadata,
    Column("turn", Integer, primary_key=True),
    Column("chunk", Integer, primary_key=True),
    Column("problem_key", String, ForeignKey("problems.key"), primary_key=True),
    Column("index", Integer, primary_key=True),
    Column("text", Text, nullable=False),
    Column("finish_reason", String, nullable=False),
    Column("tokens", Integer, nullable=False),
    Column("logprob", Float),
    Column("score", Float, nullable=False),
    Column("reason", Text, nullable=False),
    Column("failed", Boolean, nullable=False),
)

datasets = Table(
    "datasets",
    metadata,
    Column("name", String, primary_key=True),
    Column("path", Text, nullable=False),
    Column("n", Integer, nullable=False),
    Column("manifest", JSON, nullable=False),
    Column("turn", Integer, nullable=False),
    Column("at", Float, nullable=False),
)

candidates = Table(
    "candidates",
    metadata,
    Column("name", String, primary_key=True),
    Column("parent", String, nullable=False),
    Column("dataset", String, nullable=False),
    Column("trainer", String, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("fingerprint", String, nullable=False),
    Column("path", Text, nullable=False),
    Column("versions", JSON, nullable=False),
    Column("at", Float, nullable=False),
)

releases = Table(
    "releases",
    metadata,
    Column("name", String, primary_key=True),
    Column("state", String, nullable=False),
    Column("parent", String),
    Column("dataset", String),
    Column("fingerprint", String, nullable=False),
    Column("path", Text, nullable=False),
    Column("at", Float, nullable=False),
    # Two operators at once cannot make two champions: the database refuses the second.
    _partial("one_champion", "state", where="state = 'champion'", unique=True),
)

release_events = Table(
    "release_events",
    metadata,
    Column("seq", _Seq, primary_key=True, autoincrement=True),
    Column("name", String, nullable=False),
    Column("from_state", String),
    Column("to_state", String, nullable=False),
    Column("at", Float, nullable=False),
    Column("who", String, nullable=False),
    Column("why", Text, nullable=False),
)

stages = Table(
    "stages",
    metadata,
    Column("seq", _Seq, primary_key=True, autoincrement=True),
    Column("turn", Integer, nullable=False),
    Column("stage", String, nullable=False),
    Column("status", String, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("at", Float, nullable=False),
    Index("stages_turn", "turn"),
)

scores = Table(
    "scores",
    metadata,
    Column("suite", String, primary_key=True),
    Column("version", String, primary_key=True),
    Column("fingerprint", String, primary_key=True),
    Column("release", String, nullable=False),
    Column("blob", String, nullable=False),  # {scores, answers}
    Column("at", Float, nullable=False),
)

reports = Table(
    "reports",
    metadata,
    Column("turn", Integer, primary_key=True),
    Column("report", JSON, nullable=False),
    Column("at", Float, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String, primary_key=True),
    Column("holder", String, nullable=False),
    Column("until", Float, nullable=False),
)
