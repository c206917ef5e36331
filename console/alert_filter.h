#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "console/alert_book.h"
#include "core/result.h"
#include "http/message.h"
#include "schemas/matchers.h"

namespace vigie::console {

// The silences in force, ready to be asked about alerts.
class ActiveSilences {
public:
    ActiveSilences(const AlertBook& book, EventTime now);

    // Ids of those that cover the alert, sorted.
    std::vector<std::string> of(const schemas::Alert& alert) const;

private:
    std::vector<std::pair<std::string, schemas::MatcherSet>> sets_;
};

// The query of GET /api/v2/alerts and /api/v2/alerts/groups: filter (several), receiver, active,
// silenced, inhibited, unprocessed.
class AlertFilter {
public:
    // kInvalid names the parameter that is wrong.
    static Result<AlertFilter> parse(const http::Request& request);

    bool wants_receiver(const std::string& receiver) const;
    bool passes(const schemas::Alert& alert, bool silenced) const;

private:
    schemas::MatcherSet matchers_;
    std::optional<schemas::Pattern> receiver_;
    bool active_ = true;
    bool silenced_ = true;
};

// The "filter" parameters as one set of matchers.
Result<std::vector<schemas::Matcher>> filter_matchers(const http::Request& request);

}  // namespace vigie::console
