// Alerts as Prometheus posts them and as Alertmanager's webhook tells them. The first byte chooses.
#include <algorithm>
#include <cstdint>
#include <limits>

#include "ingest/alert.h"
#include "schemas/json.h"
#include "tests/fuzz/event_checks.h"
#include "tests/fuzz/telemetry_checks.h"

namespace {

using namespace vigie;
using fuzz::kNow;
using schemas::Alert;
using schemas::Json;

Json object_of(const schemas::Labels& labels) {
    Json object = Json::object();
    for (const auto& [name, value] : labels) object[name] = value;
    return object;
}

// The alert in the words of its sender.
Json written(const Alert& alert, bool notification) {
    Json json{{"labels", object_of(alert.labels)},
              {"annotations", object_of(alert.annotations)},
              {"startsAt", to_rfc3339(alert.starts_at)},
              {"generatorURL", alert.url}};
    if (alert.ends_at) json["endsAt"] = to_rfc3339(*alert.ends_at);
    if (notification) json["status"] = alert.firing ? "firing" : "resolved";
    return json;
}

void check_alert(const Alert& alert) {
    VIGIE_ASSERT(!alert.name.empty() && !alert.summary.empty() && !alert.labels.empty());
    VIGIE_ASSERT(alert.fingerprint == ingest::alert_fingerprint(alert.labels));
    VIGIE_ASSERT(alert.starts_at > EventTime{} && alert.starts_at <= kNow);
    VIGIE_ASSERT(!alert.ends_at || *alert.ends_at >= alert.starts_at);
    VIGIE_ASSERT(alert.url.empty() || alert.url.starts_with("http"));
    fuzz::check_labels(alert.labels);
    fuzz::check_labels(alert.annotations);
    fuzz::check_event(alert);
    // A later end is news, and so is another state.
    Alert other = alert;
    VIGIE_ASSERT(ingest::alert_event_id(other) == ingest::alert_event_id(alert));
    other.ends_at = other.ends_at.value_or(kNow) + std::chrono::microseconds{1};
    VIGIE_ASSERT(ingest::alert_event_id(other) != ingest::alert_event_id(alert));
}

void read_posted(std::string_view body) {
    const auto posted = ingest::parse_posted_alerts(body, kNow, fuzz::kLimits);
    if (!posted) {
        VIGIE_ASSERT(posted.error().kind == ErrorKind::kInvalid);
        return fuzz::check_reason(posted.error().message);
    }
    VIGIE_ASSERT(posted->alerts.size() + posted->refused ==
                 schemas::parse_json(body).value_or(Json{}).size());
    VIGIE_ASSERT((posted->refused == 0) == posted->errors.empty());
    if (posted->refused > 0) {
        fuzz::check_reason(posted->errors, 1500);
        VIGIE_ASSERT(posted->errors.starts_with("alert "));
    }
    Json list = Json::array();
    for (const Alert& alert : posted->alerts) {
        check_alert(alert);
        VIGIE_ASSERT(alert.ends_at && alert.firing == (*alert.ends_at > kNow));
        list.push_back(written(alert, false));
    }
    const auto again = ingest::parse_posted_alerts(schemas::dump_json(list), kNow, fuzz::kLimits);
    VIGIE_ASSERT(again && again->refused == 0 && again->alerts == posted->alerts);
}

void read_notification(std::string_view body) {
    const auto alerts = ingest::parse_notification(body, kNow, fuzz::kLimits);
    if (!alerts) {
        VIGIE_ASSERT(alerts.error().kind == ErrorKind::kInvalid);
        return fuzz::check_reason(alerts.error().message);
    }
    Json list = Json::array();
    for (const Alert& alert : *alerts) {
        check_alert(alert);
        VIGIE_ASSERT(alert.firing == !alert.ends_at);
        list.push_back(written(alert, true));
    }
    const Json notification{{"version", "4"}, {"alerts", list}};
    const auto again =
        ingest::parse_notification(schemas::dump_json(notification), kNow, fuzz::kLimits);
    VIGIE_ASSERT(again && *again == *alerts);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
    if ((data[0] & 1U) != 0) {
        read_notification(body);
    } else {
        read_posted(body);
    }
    return 0;
}
