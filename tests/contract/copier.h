#pragma once

#include <memory>
#include <string>

#include "streams/worker.h"
#include "tests/contract/harness.h"

namespace vigie::streams {

// A stage of that name and group on `in`, with a processor of this type for each partition.
template <class P>
Worker::Options stage_of(const std::string& name) {
    Worker::Options options;
    options.stage = name;
    options.subscription = {name, {"in"}};
    options.make_processor = [](const Partition&) { return std::make_unique<P>(); };
    return options;
}

// Copies `in` to `out` and says of each record how many it has seen on its partition,
// "value=count": from that one can tell whether each step happened exactly once.
inline Worker::Options copier() {
    class Copier final : public Processor {
        Status on_record(const Record& record, Context& context) override {
            VIGIE_TRY_ASSIGN(const auto count, context.get("count"));
            const std::string next = std::to_string(count ? std::stoll(*count) + 1 : 1);
            context.put("count", next);
            context.emit(msg(record.message.key, record.message.value + "=" + next, "out"));
            return {};
        }
        Status on_timer(std::string_view, EventTime, Context&) override { return {}; }
    };
    return stage_of<Copier>("copy");
}

}  // namespace vigie::streams
