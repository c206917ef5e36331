#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "console/alert_book.h"
#include "core/result.h"
#include "core/time.h"
#include "schemas/decisions.h"

// Alertmanager's silences as decisions: what POST /api/v2/silences and DELETE /api/v2/silence/{id}
// ask for, made of the silences that are there.
namespace vigie::console {

// What was posted, with a start that is not past.
struct PostedSilence {
    std::string id;  // "": a new one
    std::vector<schemas::Matcher> matchers;
    EventTime starts_at;
    EventTime ends_at;
    std::string created_by;
    std::string comment;
};

// kInvalid in Alertmanager's words where it has some.
Result<PostedSilence> parse_silence(std::string_view json, EventTime now);

// What is decided, at once and together, and which silence is the result.
struct SilenceDecisions {
    std::vector<schemas::Decision> decisions;
    std::string id;
};

// A silence that only moves its end is changed; anything else ends it and begins another one, as in
// Alertmanager, so that what a silence once covered can still be told. kNotFound for an unknown id,
// kOverloaded when there are schemas::kSilencesMax.
Result<SilenceDecisions> decide_silence(const PostedSilence& posted, const AlertBook& book,
                                        EventTime now);

// kNotFound for an unknown id, kConflict for one that has ended.
Result<SilenceDecisions> decide_end(std::string_view id, std::string actor, const AlertBook& book,
                                    EventTime now);

}  // namespace vigie::console
