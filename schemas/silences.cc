#include "schemas/silences.h"

#include <algorithm>

#include <re2/re2.h>

namespace vigie::schemas {

Silence silence_of(const EventMeta& meta, const Decision& decision) {
    Silence silence;
    silence.id = decision.terms ? decision.terms->id : std::string();
    if (silence.id.empty()) silence.id = stable_id("sil-", meta.id.value);
    silence.scope = decision.scope;
    silence.owner = decision.actor;
    silence.reason = decision.reason;
    silence.starts_at = meta.time;
    silence.until = decision.expires_at.value_or(meta.time);
    silence.updated_at = meta.time;
    if (!decision.terms) return silence;
    silence.matchers = decision.terms->matchers;
    silence.starts_at = decision.terms->starts_at.value_or(meta.time);
    return silence;
}

std::vector<Matcher> matchers_of(const Silence& silence) {
    if (silence.scope.empty()) return silence.matchers;
    const bool prefix = silence.scope.ends_with('*');
    if (!prefix) return {{std::string(kEntityLabel), silence.scope, false, true}};
    const auto begin = silence.scope.substr(0, silence.scope.size() - 1);
    return {{std::string(kEntityLabel), re2::RE2::QuoteMeta(begin) + ".*", true, true}};
}

std::string subject_of(const Silence& silence) {
    return silence.scope.empty() ? to_string(silence.matchers) : silence.scope;
}

}  // namespace vigie::schemas
