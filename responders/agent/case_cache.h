#pragma once

#include <cstddef>
#include <list>
#include <string>
#include <string_view>

#include "responders/agent/work.h"
#include "schemas/incident.h"

namespace vigie::agent {

// An incident and the agent's work on it.
struct Case {
    schemas::Incident incident;
    Work work;

    bool operator==(const Case&) const = default;
};

// Incidents as they were last decoded or encoded, beside the text they stand for. Decoding a
// large one takes milliseconds and a storm of alerts asks for the same one each time. Only a
// memory of a pure function: an entry is used when its texts are those of the state, so it
// changes no decision and may be empty at any moment.
class CaseCache {
public:
    struct Entry {
        std::string incident_text;
        std::string work_text;
        Case item;
    };

    // nullptr when it is not known, or with other texts.
    const Entry* find(std::string_view incident_text, std::string_view work_text) const;
    // By incident id; nullptr when it is not known.
    const Entry* latest(const IncidentId& id) const;
    // Replaces what is known of the incident; forgets what was added longest ago beyond kMax.
    void add(Entry entry);

private:
    static constexpr std::size_t kMax = 16;

    std::list<Entry> entries_;  // Newest first
};

}  // namespace vigie::agent
