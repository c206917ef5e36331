#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "detectors/codec.h"
#include "detectors/logs/miner.h"

namespace vigie::detectors {

// Which template follows which within one trace or session. A break is a pair that was hardly ever
// seen, of two templates that were each seen in many.
class LogSequences {
public:
    // True when the line breaks the sequence of `trace`.
    bool add(std::string_view trace, TemplateId id);

    // A step is over: how unlikely its breaks are, in nats; 0 unless several traces broke.
    struct Verdict {
        double nats = 0;
        std::uint32_t traces = 0;
        double expected = 0;
    };
    Verdict close_step();
    void learn();  // After close_step(): its breaks are usual.

    void rename(TemplateId from, TemplateId into);
    void forget(TemplateId id);

    void save(Encoder& out) const;
    void load(Decoder& in);

private:
    struct Pairs {
        std::uint64_t before = 0;  // Pairs that it begins,
        std::uint64_t after = 0;   // and ends.
    };

    std::map<std::string, TemplateId, std::less<>> last_;  // By trace.
    std::deque<std::string> order_;                        // Traces, the oldest first.
    std::map<std::pair<TemplateId, TemplateId>, std::uint64_t> pairs_;
    std::map<TemplateId, Pairs> seen_;
    std::uint64_t traces_ = 0;
    std::uint32_t breaks_ = 0;  // Of this step; each trace once.
    std::string broken_;
    double breaks_usual_ = 0;  // A step.
    std::uint32_t steps_ = 0;
};

}  // namespace vigie::detectors
