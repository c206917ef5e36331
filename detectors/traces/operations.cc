#include "detectors/traces/operations.h"

#include <algorithm>

#include "detectors/words.h"

namespace vigie::detectors {

namespace {

constexpr std::size_t kNameBytesMax = 100;

}  // namespace

std::string Operations::admit(const std::string& service, std::string_view name, EventTime at) {
    if (name.empty()) return {};
    Names& names = services_[service];
    std::string text = cut(name, kNameBytesMax);
    if (const auto known = names.find(text); known != names.end()) {
        known->second = std::max(known->second, at);
        return text;
    }
    const std::size_t own = names.size() - (names.contains(kOther) ? 1 : 0);
    if ((own >= limits_.of_one_max || total_ >= limits_.total_max) && !make_room(names, at)) {
        ++overflowed_;
        EventTime& last = names[std::string(kOther)];
        last = std::max(last, at);
        return std::string(kOther);
    }
    ++total_;
    names.emplace(text, at);
    return text;
}

bool Operations::make_room(Names& names, EventTime at) {
    auto oldest = names.end();
    for (auto each = names.begin(); each != names.end(); ++each) {
        if (each->first == kOther) continue;
        if (oldest == names.end() || each->second < oldest->second) oldest = each;
    }
    if (oldest == names.end() || at - oldest->second <= limits_.idle_after) return false;
    names.erase(oldest);
    --total_;
    return true;
}

std::size_t Operations::count(const std::string& service) const {
    const auto found = services_.find(service);
    return found == services_.end() ? 0 : found->second.size();
}

void Operations::save(Encoder& out) const {
    out.u64(services_.size());
    for (const auto& [service, names] : services_) {
        out.text(service);
        out.u64(names.size());
        for (const auto& [name, last] : names) {
            out.text(name);
            out.time(last);
        }
    }
}

void Operations::load(Decoder& in) {
    for (std::size_t left = in.count(2); left > 0 && !in.failed(); --left) {
        Names& names = services_[in.text()];
        for (std::size_t each = in.count(2); each > 0 && !in.failed(); --each) {
            std::string name = in.text();
            const EventTime last = in.time();
            if (name != kOther) ++total_;
            if (!names.emplace(std::move(name), last).second) in.set_failed();
        }
    }
}

}  // namespace vigie::detectors
