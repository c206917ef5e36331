#include "responders/agent/recovery.h"

#include <algorithm>

#include <fmt/format.h>

#include "responders/agent/text.h"
#include "schemas/events.h"

namespace vigie::agent {

using schemas::Ended;
using schemas::Evidence;
using schemas::IncidentState;

bool is_closed(IncidentState state) {
    return state == IncidentState::kResolved || state == IncidentState::kReviewed;
}

bool fires(const Evidence& evidence) {
    return evidence.symptom && !evidence.cleared_at && !evidence.ended;
}

bool remains(const Evidence& evidence) {
    return evidence.symptom && !evidence.cleared_at && evidence.ended != Ended::kAdapted;
}

bool symptoms_fire(const schemas::Incident& incident) {
    return std::any_of(incident.evidence.begin(), incident.evidence.end(), fires);
}

bool symptoms_remain(const schemas::Incident& incident) {
    return std::any_of(incident.evidence.begin(), incident.evidence.end(), remains);
}

bool has_recovered(const schemas::Incident& incident) {
    return std::none_of(incident.evidence.begin(), incident.evidence.end(),
                        [](const Evidence& item) { return item.symptom && !item.cleared_at; });
}

std::string missing_data(const Case& item, const EntityId& expected_absent) {
    for (const auto& evidence : item.incident.evidence) {
        if (evidence.cleared_at) continue;
        if (!expected_absent.empty() && evidence.entity == expected_absent) continue;
        const auto track = item.work.tracks.find(evidence_name(evidence.kind, evidence.key));
        if (track != item.work.tracks.end() && track->second.channel == Channel::kAbsence) {
            return fmt::format("{} stopped sending: {}",
                               clean(evidence.entity.value, kNameBytesMax), clean(evidence.text));
        }
        if (evidence.symptom && evidence.ended == Ended::kSilent) {
            return fmt::format("the data of {} {} stopped", evidence.kind,
                               clean(evidence.key, kNameBytesMax));
        }
    }
    return {};
}

}  // namespace vigie::agent
