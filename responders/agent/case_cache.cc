#include "responders/agent/case_cache.h"

#include <algorithm>
#include <utility>

namespace vigie::agent {

const CaseCache::Entry* CaseCache::find(std::string_view incident_text,
                                        std::string_view work_text) const {
    const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
        return entry.incident_text == incident_text && entry.work_text == work_text;
    });
    return found == entries_.end() ? nullptr : &*found;
}

const CaseCache::Entry* CaseCache::latest(const IncidentId& id) const {
    const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
        return entry.item.incident.id == id;
    });
    return found == entries_.end() ? nullptr : &*found;
}

void CaseCache::add(Entry entry) {
    const auto same = [&id = entry.item.incident.id](const Entry& other) {
        return other.item.incident.id == id;
    };
    entries_.remove_if(same);
    entries_.push_front(std::move(entry));
    if (entries_.size() > kMax) entries_.pop_back();
}

}  // namespace vigie::agent
