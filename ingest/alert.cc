#include "ingest/alert.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "core/redact.h"
#include "schemas/alert_json.h"
#include "schemas/json.h"

namespace vigie::ingest {

using schemas::Json;
using schemas::Labels;

namespace {

constexpr std::chrono::seconds kResolveTimeout{300};
constexpr std::size_t kNameBytesMax = 1024;
constexpr std::size_t kErrorsShownMax = 5;

// What the two protocols do not share.
enum class Protocol : std::uint8_t { kPosted, kNotification };

struct SeverityWord {
    std::string_view word;
    schemas::Severity severity;
};

// Beyond our own three, the words that rule collections in use give the label "severity".
constexpr std::array kSeverityWords{
    SeverityWord{"page", schemas::Severity::kCritical},
    SeverityWord{"error", schemas::Severity::kCritical},
    SeverityWord{"emergency", schemas::Severity::kCritical},
    SeverityWord{"fatal", schemas::Severity::kCritical},
    SeverityWord{"high", schemas::Severity::kCritical},
    SeverityWord{"disaster", schemas::Severity::kCritical},
    SeverityWord{"low", schemas::Severity::kInfo},
    SeverityWord{"ok", schemas::Severity::kInfo},
    SeverityWord{"none", schemas::Severity::kInfo},
    SeverityWord{"informational", schemas::Severity::kInfo},
    SeverityWord{"notice", schemas::Severity::kInfo},
};

Result<Labels> labels_at(const Json& alert, const char* member,
                         const schemas::DecodeLimits& limits) {
    Labels labels;
    const auto found = alert.find(member);
    if (found == alert.end() || found->is_null()) return labels;
    if (!found->is_object()) {
        return fail(ErrorKind::kInvalid, fmt::format("{} is not an object", member));
    }
    if (found->size() > limits.labels_max) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("{} has more than {} members", member, limits.labels_max));
    }
    for (const auto& [name, value] : found->items()) {
        const auto* const text = value.get_ptr<const std::string*>();
        if (text == nullptr) {
            return fail(ErrorKind::kInvalid,
                        fmt::format("{} '{}' is not a string", member, one_line(name, 100)));
        }
        if (name.empty() || name.size() > kNameBytesMax || text->size() > limits.label_bytes_max) {
            return fail(ErrorKind::kInvalid,
                        fmt::format("a name in {} is empty or too long, or a value is", member));
        }
        if (!text->empty()) labels.emplace_back(name, *text);
    }
    return labels;
}

// Absent for Go's zero time too, which is how Alertmanager says that there is none.
Result<std::optional<EventTime>> time_at(const Json& alert, const char* member) {
    const auto found = alert.find(member);
    if (found == alert.end() || found->is_null()) return std::nullopt;
    const auto* const text = found->get_ptr<const std::string*>();
    if (text == nullptr) {
        return fail(ErrorKind::kInvalid, fmt::format("{} is not a string", member));
    }
    if (text->empty()) return std::nullopt;
    const auto at = parse_rfc3339(*text);
    if (!at) return fail(Error(at.error()).in(member));
    if (*at <= EventTime{}) return std::nullopt;
    return *at;
}

std::string first_of(const Labels& annotations, std::initializer_list<std::string_view> names,
                     std::string_view otherwise) {
    for (const auto name : names) {
        if (const auto text = schemas::label(annotations, name); !text.empty()) {
            return std::string(text);
        }
    }
    return std::string(otherwise);
}

// Sets the times, and by them whether a posted alert fires.
Status set_times(std::optional<EventTime> starts_at, std::optional<EventTime> ends_at,
                 Protocol protocol, EventTime now, schemas::Alert& alert) {
    alert.ends_at = ends_at;
    alert.starts_at = starts_at.value_or(ends_at.value_or(now));
    if (alert.ends_at && *alert.ends_at < alert.starts_at) {
        return fail(ErrorKind::kInvalid, "start time must be before end time");
    }
    // A start that is still to come would make it the last of all symptoms.
    alert.starts_at = std::min(alert.starts_at, now);
    if (protocol == Protocol::kPosted) {
        if (!alert.ends_at) alert.ends_at = now + kResolveTimeout;
        alert.firing = *alert.ends_at > now;
    }
    return {};
}

// Whether a notified alert fires is what its status says.
Status set_status(const Json& json, EventTime now, schemas::Alert& alert) {
    const auto status = schemas::string_at(json, "/status");
    if (status != "firing" && status != "resolved") {
        return fail(ErrorKind::kInvalid, "status is neither firing nor resolved");
    }
    alert.firing = status == "firing";
    if (alert.firing) {
        alert.ends_at.reset();
    } else if (!alert.ends_at) {
        alert.ends_at = now;
    }
    return {};
}

// What follows from labels and annotations.
void derive(schemas::Alert& alert) {
    alert.fingerprint = alert_fingerprint(alert.labels);
    alert.name = schemas::label(alert.labels, "alertname");
    if (alert.name.empty()) alert.name = "unnamed";
    alert.severity = severity_of(schemas::label(alert.labels, "severity"));
    alert.entity = schemas::entity_of(alert.labels);
    alert.summary = first_of(alert.annotations, {"summary", "message", "description"}, alert.name);
}

Result<schemas::Alert> read_alert(const Json& json, Protocol protocol, EventTime now,
                                  const schemas::DecodeLimits& limits) {
    if (!json.is_object()) return fail(ErrorKind::kInvalid, "the alert is not an object");
    schemas::Alert alert;
    VIGIE_TRY_ASSIGN(alert.labels, labels_at(json, "labels", limits));
    VIGIE_TRY_ASSIGN(alert.annotations, labels_at(json, "annotations", limits));
    if (alert.labels.empty()) {
        return fail(ErrorKind::kInvalid, "at least one label pair required");
    }
    VIGIE_TRY_ASSIGN(const auto starts_at, time_at(json, "startsAt"));
    VIGIE_TRY_ASSIGN(const auto ends_at, time_at(json, "endsAt"));
    VIGIE_TRY(set_times(starts_at, ends_at, protocol, now, alert));
    if (protocol == Protocol::kNotification) VIGIE_TRY(set_status(json, now, alert));
    derive(alert);
    for (const auto* member : {"/generatorURL", "/panelURL", "/dashboardURL"}) {
        if (alert.url.empty())
            alert.url = link_or_nothing(schemas::string_at(json, member).value_or(""));
    }
    return alert;
}

// The same of an alert that was read without a tree. Absent when its words are for the general
// reader to refuse.
std::optional<schemas::Alert> usual_alert(schemas::PostedAlert posted, EventTime now) {
    const auto time_of = [](const std::string& text) -> Result<std::optional<EventTime>> {
        if (text.empty()) return std::nullopt;
        VIGIE_TRY_ASSIGN(const auto at, parse_rfc3339(text));
        if (at <= EventTime{}) return std::nullopt;
        return at;
    };
    const auto starts_at = time_of(posted.starts_at);
    const auto ends_at = time_of(posted.ends_at);
    schemas::Alert alert;
    if (!starts_at || !ends_at || posted.labels.empty() ||
        !set_times(*starts_at, *ends_at, Protocol::kPosted, now, alert)) {
        return std::nullopt;
    }
    alert.labels = std::move(posted.labels);
    alert.annotations = std::move(posted.annotations);
    derive(alert);
    alert.url = link_or_nothing(posted.url);
    return alert;
}

std::optional<PostedAlerts> usual_alerts(std::string_view body, EventTime now,
                                         const schemas::DecodeLimits& limits) {
    auto posted = schemas::read_posted_alerts(body, limits);
    if (!posted) return std::nullopt;
    PostedAlerts alerts;
    alerts.alerts.reserve(posted->size());
    for (auto& one : *posted) {
        auto alert = usual_alert(std::move(one), now);
        if (!alert) return std::nullopt;
        alerts.alerts.push_back(*std::move(alert));
    }
    return alerts;
}

Status check_count(const Json& list, const schemas::DecodeLimits& limits) {
    if (list.size() <= limits.items_max) return {};
    return fail(ErrorKind::kInvalid,
                fmt::format("the list has more than {} alerts", limits.items_max));
}

}  // namespace

schemas::Severity severity_of(std::string_view word) {
    if (const auto known = schemas::parse_severity(word)) return *known;
    const auto* const found =
        std::find_if(kSeverityWords.begin(), kSeverityWords.end(),
                     [&](const SeverityWord& entry) { return entry.word == word; });
    return found == kSeverityWords.end() ? schemas::Severity::kWarning : found->severity;
}

std::string alert_fingerprint(const Labels& labels) {
    constexpr char kSeparator = '\xff';
    std::string text;
    for (const auto& [name, value] : labels) {
        text += name;
        text += kSeparator;
        text += value;
        text += kSeparator;
    }
    return fmt::format("{:016x}", fnv1a64(text));
}

Result<PostedAlerts> parse_posted_alerts(std::string_view body, EventTime now,
                                         const schemas::DecodeLimits& limits) {
    if (auto usual = usual_alerts(body, now, limits)) return *std::move(usual);
    VIGIE_TRY_ASSIGN(const Json list, schemas::parse_json(body));
    if (!list.is_array()) return fail(ErrorKind::kInvalid, "the body is not a list of alerts");
    VIGIE_TRY(check_count(list, limits));
    PostedAlerts posted;
    for (std::size_t i = 0; i < list.size(); ++i) {
        auto alert = read_alert(list[i], Protocol::kPosted, now, limits);
        if (alert) {
            posted.alerts.push_back(*std::move(alert));
        } else if (++posted.refused <= kErrorsShownMax) {
            posted.errors += fmt::format("{}alert {}: {}", posted.errors.empty() ? "" : "; ", i,
                                         alert.error().message);
        }
    }
    return posted;
}

Result<std::vector<schemas::Alert>> parse_notification(std::string_view body, NotificationKind kind,
                                                       EventTime now,
                                                       const schemas::DecodeLimits& limits) {
    VIGIE_TRY_ASSIGN(const Json json, schemas::parse_json(body));
    const std::string_view version = kind == NotificationKind::kGrafana ? "1" : "4";
    if (schemas::string_at(json, "/version") != version) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("the notification is not of version {}", version));
    }
    const Json* const list = schemas::find(json, "/alerts");
    if (list == nullptr || !list->is_array()) {
        return fail(ErrorKind::kInvalid, "the notification has no list of alerts");
    }
    VIGIE_TRY(check_count(*list, limits));
    std::vector<schemas::Alert> alerts;
    for (const auto& element : *list) {
        auto alert = read_alert(element, Protocol::kNotification, now, limits);
        if (!alert) {
            return fail(std::move(alert).error().in(fmt::format("alert {}", alerts.size())));
        }
        alerts.push_back(*std::move(alert));
    }
    return alerts;
}

EventId alert_event_id(const schemas::Alert& alert) {
    std::string content =
        fmt::format("{}|{}|{}|{}|", alert.fingerprint, alert.firing, micros_of(alert.starts_at),
                    alert.ends_at ? micros_of(*alert.ends_at) : 0);
    for (const auto& [name, value] : alert.annotations) {
        content += fmt::format("{}:{}={}:{};", name.size(), name, value.size(), value);
    }
    return event_id("alert", content);
}

}  // namespace vigie::ingest
