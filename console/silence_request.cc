#include "console/silence_request.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/redact.h"
#include "core/utf8.h"
#include "http/signature.h"
#include "schemas/json.h"

namespace vigie::console {

using schemas::Decision;
using schemas::Json;
using schemas::Matcher;
using schemas::Silence;

namespace {

constexpr std::size_t kMatchersMax = 100;
constexpr std::size_t kNameBytesMax = 120;  // What the agent keeps of an owner
constexpr std::size_t kValueBytesMax = 4096;
constexpr std::size_t kCommentBytesMax = 2000;

Result<std::string> text_of(const Json& json, const char* name, std::size_t bytes_max) {
    const auto found = json.find(name);
    if (found == json.end() || !found->is_string()) {
        return fail(ErrorKind::kInvalid, fmt::format("{} in body is required", name));
    }
    const auto& text = found->get_ref<const std::string&>();
    if (text.size() > bytes_max) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("{} is longer than {} bytes", name, bytes_max));
    }
    return text;
}

Result<EventTime> time_of(const Json& json, const char* name) {
    VIGIE_TRY_ASSIGN(const auto text, text_of(json, name, kNameBytesMax));
    auto at = parse_rfc3339(text);
    if (!at) return fail(std::move(at).error().in(name));
    return at;
}

Result<Matcher> matcher_of(const Json& json) {
    if (!json.is_object()) return fail(ErrorKind::kInvalid, "a matcher is not an object");
    Matcher matcher;
    VIGIE_TRY_ASSIGN(matcher.name, text_of(json, "name", kValueBytesMax));
    VIGIE_TRY_ASSIGN(matcher.value, text_of(json, "value", kValueBytesMax));
    matcher.regex = schemas::bool_at(json, "/isRegex").value_or(false);
    matcher.equal = schemas::bool_at(json, "/isEqual").value_or(true);
    // What a matcher's text cannot say it cannot mean.
    const auto same = schemas::parse_matcher(schemas::to_string(matcher));
    if (!same) return fail(same.error());
    if (*same != matcher) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("invalid label name '{}'", one_line(matcher.name, 100)));
    }
    return matcher;
}

Result<std::vector<Matcher>> matchers_of(const Json& json) {
    const Json* const list = schemas::find(json, "/matchers");
    if (list == nullptr || !list->is_array() || list->empty()) {
        return fail(ErrorKind::kInvalid, "matchers in body is required");
    }
    if (list->size() > kMatchersMax) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("the silence has more than {} matchers", kMatchersMax));
    }
    std::vector<Matcher> matchers;
    for (const auto& element : *list) {
        VIGIE_TRY_ASSIGN(auto matcher, matcher_of(element));
        matchers.push_back(std::move(matcher));
    }
    // One that everything meets would silence all there is, by mistake more often than not.
    VIGIE_TRY_ASSIGN(const auto set, schemas::MatcherSet::compile(matchers));
    if (set.matches({}, "")) {
        return fail(ErrorKind::kInvalid, "at least one matcher must not match the empty string");
    }
    return matchers;
}

// A UUID of the content, as Alertmanager's ids are; the moment makes it another one each time.
std::string silence_id(const PostedSilence& posted, EventTime now) {
    const auto hash = http::sha256_hex(fmt::format(
        "{}|{}|{}|{}|{}|{}", micros_of(now), schemas::to_string(posted.matchers),
        micros_of(posted.starts_at), micros_of(posted.ends_at), posted.created_by, posted.comment));
    return fmt::format("{}-{}-4{}-a{}-{}", hash.substr(0, 8), hash.substr(8, 4), hash.substr(12, 3),
                       hash.substr(15, 3), hash.substr(18, 12));
}

Decision silence_decision(std::string id, std::string actor, EventTime until) {
    Decision decision;
    decision.kind = schemas::DecisionKind::kSilence;
    decision.actor = std::move(actor);
    decision.expires_at = until;
    decision.terms = schemas::SilenceTerms{std::move(id), {}, std::nullopt};
    return decision;
}

bool can_change(const Silence& known, const PostedSilence& posted, EventTime now) {
    if (schemas::matchers_of(known) != posted.matchers) return false;
    switch (state_of(known, now)) {
        // A start that is past was set to now when it was read.
        case SilenceState::kActive: return posted.starts_at <= now;
        case SilenceState::kPending: return posted.starts_at >= now;
        case SilenceState::kExpired: return false;
    }
    return false;
}

}  // namespace

Result<PostedSilence> parse_silence(std::string_view text, EventTime now) {
    VIGIE_TRY_ASSIGN(const Json json, schemas::parse_json(text));
    if (!json.is_object()) return fail(ErrorKind::kInvalid, "the silence is not an object");
    PostedSilence posted;
    posted.id = schemas::string_at(json, "/id").value_or("");
    VIGIE_TRY_ASSIGN(posted.matchers, matchers_of(json));
    VIGIE_TRY_ASSIGN(posted.starts_at, time_of(json, "startsAt"));
    VIGIE_TRY_ASSIGN(posted.ends_at, time_of(json, "endsAt"));
    VIGIE_TRY_ASSIGN(posted.created_by, text_of(json, "createdBy", kNameBytesMax));
    VIGIE_TRY_ASSIGN(posted.comment, text_of(json, "comment", kCommentBytesMax));
    if (posted.created_by.find_first_not_of(' ') == std::string::npos) {
        return fail(ErrorKind::kInvalid, "createdBy is empty: a silence has an owner");
    }
    if (posted.ends_at <= posted.starts_at) {
        return fail(ErrorKind::kInvalid,
                    "failed to create silence: start time must be before end time");
    }
    if (posted.ends_at <= now) {
        return fail(ErrorKind::kInvalid, "failed to create silence: end time can't be in the past");
    }
    posted.starts_at = std::max(posted.starts_at, now);
    return posted;
}

Result<SilenceDecisions> decide_silence(const PostedSilence& posted, const AlertBook& book,
                                        EventTime now) {
    SilenceDecisions out;
    const auto known = posted.id.empty() ? book.silences().end() : book.silences().find(posted.id);
    if (!posted.id.empty() && known == book.silences().end()) {
        return fail(ErrorKind::kNotFound, "silence not found");
    }
    const bool there = known != book.silences().end();
    const bool lives = there && state_of(known->second, now) != SilenceState::kExpired;
    const bool changes = there && can_change(known->second, posted, now);
    if (!changes && book.count_silences(now) - (lives ? 1 : 0) >= schemas::kSilencesMax) {
        return fail(
            ErrorKind::kOverloaded,
            fmt::format("there are already {} silences: let some end", schemas::kSilencesMax));
    }
    if (lives && !changes) {
        out.decisions.push_back(silence_decision(posted.id, posted.created_by, now));
    }
    out.id = changes ? posted.id : silence_id(posted, now);
    auto decision = silence_decision(out.id, posted.created_by, posted.ends_at);
    decision.reason = posted.comment;
    decision.terms->matchers = posted.matchers;
    decision.terms->starts_at = posted.starts_at;
    if (changes && state_of(known->second, now) == SilenceState::kActive) {
        decision.terms->starts_at = known->second.starts_at;
    }
    if (changes && !known->second.scope.empty()) {
        decision.scope = known->second.scope;
        decision.terms->matchers.clear();
    }
    out.decisions.push_back(std::move(decision));
    return out;
}

Result<SilenceDecisions> decide_end(std::string_view id, std::string actor, const AlertBook& book,
                                    EventTime now) {
    const auto known = book.silences().find(id);
    if (known == book.silences().end()) return fail(ErrorKind::kNotFound, "silence not found");
    if (state_of(known->second, now) == SilenceState::kExpired) {
        return fail(ErrorKind::kConflict, fmt::format("silence {} already expired", id));
    }
    SilenceDecisions out;
    out.id = id;
    out.decisions.push_back(silence_decision(out.id, std::move(actor), now));
    return out;
}

}  // namespace vigie::console
