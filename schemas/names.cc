#include "schemas/names.h"

#include <fmt/format.h>

namespace vigie::schemas {

std::string_view to_string(Severity value) {
    return detail::name_of(value);
}
std::string_view to_string(Symptom value) {
    return detail::name_of(value);
}
std::string_view to_string(Ended value) {
    return detail::name_of(value);
}
std::string_view to_string(ChangeKind value) {
    return detail::name_of(value);
}
std::string_view to_string(DecisionKind value) {
    return detail::name_of(value);
}
std::string_view to_string(ActionPhase value) {
    return detail::name_of(value);
}
std::string_view to_string(ActionStatus value) {
    return detail::name_of(value);
}
std::string_view to_string(IncidentState value) {
    return detail::name_of(value);
}
std::string_view to_string(Mechanism value) {
    return detail::name_of(value);
}
std::string_view to_string(Mode value) {
    return detail::name_of(value);
}
std::string_view to_string(Risk value) {
    return detail::name_of(value);
}

std::optional<Severity> parse_severity(std::string_view text) {
    return detail::parse_name<Severity>(text);
}
std::optional<ChangeKind> parse_change_kind(std::string_view text) {
    return detail::parse_name<ChangeKind>(text);
}
std::optional<Ended> parse_ended(std::string_view text) {
    return detail::parse_name<Ended>(text);
}
std::optional<DecisionKind> parse_decision_kind(std::string_view text) {
    return detail::parse_name<DecisionKind>(text);
}
std::optional<Mode> parse_mode(std::string_view text) {
    return detail::parse_name<Mode>(text);
}
std::optional<Risk> parse_risk(std::string_view text) {
    return detail::parse_name<Risk>(text);
}

std::string to_string(const Confidence& confidence) {
    if (!confidence.calibrated) return fmt::format("uncalibrated (n={})", confidence.outcomes);
    return fmt::format("{:.2f} (n={})", confidence.value, confidence.outcomes);
}

}  // namespace vigie::schemas
