#pragma once

#include "schemas/codec.h"

// The fields of decisions.h in JSON; schemas/decision.v1.json and its neighbours say the same.
namespace vigie::schemas {

template <class Io>
void describe(Io& io, detail::Of<Matcher> auto& value) {
    io.field("name", value.name);
    io.field("value", value.value);
    io.field("regex", value.regex);
    io.field("equal", value.equal);
}

template <class Io>
void describe(Io& io, detail::Of<SilenceTerms> auto& value) {
    io.field("id", value.id);
    io.field("matchers", value.matchers);
    io.field("starts_at", value.starts_at);
}

template <class Io>
void describe(Io& io, detail::Of<Decision> auto& value) {
    io.field("kind", value.kind);
    io.field("incident", value.incident);
    io.field("plan", value.plan);
    io.field("actor", value.actor);
    io.field("reason", value.reason);
    io.field("value", value.value);
    io.field("scope", value.scope);
    io.field("expires_at", value.expires_at);
    io.field("terms", value.terms);
}

template <class Io>
void describe(Io& io, detail::Of<ActionEvent> auto& value) {
    io.field("id", value.id);
    io.field("incident", value.incident);
    io.field("plan", value.plan);
    io.field("phase", value.phase);
    io.field("status", value.status);
    io.field("action", value.action);
    io.field("target", value.target);
    io.field("parameters", value.parameters);
    io.field("facts", value.facts);
    io.field("diff", value.diff);
    io.field("message", value.message);
    io.field("instance", value.instance);
}

template <class Io>
void describe(Io& io, detail::Of<Audit> auto& value) {
    io.field("sequence", value.sequence);
    io.field("previous_hash", value.previous_hash);
    io.field("actor", value.actor);
    io.field("what", value.what);
    io.field("subject", value.subject);
    io.field("detail", value.detail);
}

template <class Io>
void describe(Io& /*io*/, detail::Of<Tick> auto& /*value*/) {}

}  // namespace vigie::schemas
