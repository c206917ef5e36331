#include "console/alert_filter.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/redact.h"

namespace vigie::console {

namespace {

constexpr std::size_t kFiltersMax = 100;

Status read_flag(const http::Request& request, std::string_view name, bool& flag) {
    const auto text = request.query_value(name);
    if (!text || text->empty()) return {};
    if (*text == "true" || *text == "1") {
        flag = true;
    } else if (*text == "false" || *text == "0") {
        flag = false;
    } else {
        return fail(ErrorKind::kInvalid, fmt::format("{} in query must be of type boolean: \"{}\"",
                                                     name, one_line(*text, 100)));
    }
    return {};
}

}  // namespace

ActiveSilences::ActiveSilences(const AlertBook& book, EventTime now) {
    for (const auto& [id, silence] : book.silences()) {
        if (state_of(silence, now) != SilenceState::kActive) continue;
        // One that does not compile covers nothing; none such gets past the door.
        auto set = schemas::MatcherSet::compile(schemas::matchers_of(silence));
        if (set) sets_.emplace_back(id, *std::move(set));
    }
}

std::vector<std::string> ActiveSilences::of(const schemas::Alert& alert) const {
    std::vector<std::string> ids;
    for (const auto& [id, set] : sets_) {
        if (set.matches(alert.labels, alert.entity.value)) ids.push_back(id);
    }
    return ids;
}

Result<std::vector<schemas::Matcher>> filter_matchers(const http::Request& request) {
    std::vector<schemas::Matcher> matchers;
    for (const auto& [name, value] : request.query) {
        if (name != "filter") continue;
        if (matchers.size() == kFiltersMax) {
            return fail(ErrorKind::kInvalid, fmt::format("more than {} filters", kFiltersMax));
        }
        VIGIE_TRY_ASSIGN(auto matcher, schemas::parse_matcher(value));
        matchers.push_back(std::move(matcher));
    }
    return matchers;
}

Result<AlertFilter> AlertFilter::parse(const http::Request& request) {
    AlertFilter filter;
    VIGIE_TRY_ASSIGN(const auto matchers, filter_matchers(request));
    VIGIE_TRY_ASSIGN(filter.matchers_, schemas::MatcherSet::compile(matchers));
    if (const auto receiver = request.query_value("receiver"); receiver && !receiver->empty()) {
        auto pattern = schemas::Pattern::compile(*receiver);
        if (!pattern) {
            return fail(std::move(pattern).error().in("failed to parse receiver param"));
        }
        filter.receiver_ = *std::move(pattern);
    }
    // Nothing here is ever inhibited or unprocessed: those two choose among nothing.
    bool ignored = true;
    VIGIE_TRY(read_flag(request, "active", filter.active_));
    VIGIE_TRY(read_flag(request, "silenced", filter.silenced_));
    VIGIE_TRY(read_flag(request, "inhibited", ignored));
    VIGIE_TRY(read_flag(request, "unprocessed", ignored));
    return filter;
}

bool AlertFilter::wants_receiver(const std::string& receiver) const {
    return !receiver_ || receiver_->matches(receiver);
}

bool AlertFilter::passes(const schemas::Alert& alert, bool silenced) const {
    return (silenced ? silenced_ : active_) && matchers_.matches(alert.labels, alert.entity.value);
}

}  // namespace vigie::console
