#pragma once

#include "schemas/codec.h"

// The fields of observations.h in JSON; schemas/alert.v1.json and its neighbours say the same.
namespace vigie::schemas {

template <class Io>
void describe(Io& io, detail::Of<Alert> auto& value) {
    io.field("fingerprint", value.fingerprint);
    io.field("firing", value.firing);
    io.field("name", value.name);
    io.field("severity", value.severity);
    io.field("entity", value.entity);
    io.field("summary", value.summary);
    io.field("labels", value.labels);
    io.field("annotations", value.annotations);
    io.field("starts_at", value.starts_at);
    io.field("ends_at", value.ends_at);
    io.field("url", value.url);
}

template <class Io>
void describe(Io& io, detail::Of<Anomaly> auto& value) {
    io.field("detector", value.detector);
    io.field("key", value.key);
    io.field("firing", value.firing);
    io.field("ended", value.ended);
    io.field("symptom", value.symptom);
    io.field("severity", value.severity);
    io.field("entity", value.entity);
    io.field("signal", value.signal);
    io.field("observed", value.observed);
    io.field("expected", value.expected);
    io.field("lower", value.lower);
    io.field("upper", value.upper);
    io.field("score", value.score);
    io.field("unit", value.unit);
    io.field("first_seen", value.first_seen);
    io.field("last_seen", value.last_seen);
    io.field("reason", value.reason);
    io.field("examples", value.examples);
}

template <class Io>
void describe(Io& io, detail::Of<Forecast> auto& value) {
    io.field("entity", value.entity);
    io.field("signal", value.signal);
    io.field("at", value.at);
    io.field("expected", value.expected);
    io.field("lower", value.lower);
    io.field("upper", value.upper);
    io.field("unit", value.unit);
}

template <class Io>
void describe(Io& io, detail::Of<Change> auto& value) {
    io.field("kind", value.kind);
    io.field("key", value.key);
    io.field("status", value.status);
    io.field("entity", value.entity);
    io.field("peer", value.peer);
    io.field("version", value.version);
    io.field("environment", value.environment);
    io.field("actor", value.actor);
    io.field("summary", value.summary);
    io.field("url", value.url);
    io.field("at", value.at);
}

template <class Io>
void describe(Io& io, detail::Of<Heartbeat> auto& value) {
    io.field("name", value.name);
    io.field("every", value.every);
    io.field("grace", value.grace);
    io.field("entity", value.entity);
    io.field("severity", value.severity);
    io.field("summary", value.summary);
    io.field("declared", value.declared);
    io.field("ended", value.ended);
}

}  // namespace vigie::schemas
