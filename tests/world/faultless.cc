#include "tests/world/faultless.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "app/pipeline.h"
#include "core/log.h"
#include "schemas/topics.h"
#include "streams/worker.h"

namespace vigie::sim {

namespace {

namespace topics = schemas::topics;
using Values = std::multiset<std::string>;

bool is_tick(const streams::Record& record) {
    const auto& headers = record.message.headers;
    return std::ranges::any_of(headers, [](const auto& header) {
        return header.first == topics::kHeaderKind && header.second == topics::kKindTick;
    });
}

// Without the ticks, which come from outside the stages.
Values values_of(const streams::MemoryBus& bus, std::string_view topic) {
    Values values;
    for (const auto& record : bus.records(topic)) {
        if (topic == topics::kSignals || !is_tick(record)) values.insert(record.message.value);
    }
    return values;
}

Values once(const Values& values) {
    const std::set<std::string> unique(values.begin(), values.end());
    return {unique.begin(), unique.end()};
}

// How many of `wanted` are not among `there`.
std::size_t missing(const Values& wanted, const Values& there) {
    Values left;
    std::ranges::set_difference(wanted, there, std::inserter(left, left.end()));
    return left.size();
}

class Faultless {
public:
    explicit Faultless(const World& world) : world_(world) {
        app::Pipeline pipeline;
        pipeline.detect = world.detect();
        pipeline.set_kill_switch = [](bool) { return Status{}; };
        pipeline.write_postmortem = [](const IncidentId&, const std::string&) { return Status{}; };
        for (auto& stage : app::make_stages(pipeline, metrics_, clock_)) {
            // These two are about the world outside.
            if (stage.stage != "act" && stage.stage != "notify") run(stage);
        }
    }

    void check_outputs() {
        const Values fed = fed_on(topics::kChanges);
        for (const auto topic : {topics::kSignals, topics::kIncidents, topics::kAudit}) {
            check(topic, said_on(topic), values_of(world_.bus(), topic));
        }
        check(topics::kAnomalies, once(said_on(topics::kAnomalies)),
              once(values_of(world_.bus(), topics::kAnomalies)));
        Values changes = said_on(topics::kChanges);
        changes.insert(fed.begin(), fed.end());
        check(topics::kChanges, once(changes), once(values_of(world_.bus(), topics::kChanges)));
        // The executor writes there too.
        Values actions = values_of(world_.bus(), topics::kActions);
        if (const auto lost = missing(said_on(topics::kActions), actions); lost > 0) {
            differences_.push_back(fmt::format("vigie.actions: {} intents lost", lost));
        }
    }

    void check_senders() {
        std::set<std::string> sent_to;
        for (const auto& message : world_.fed()) sent_to.insert(message.topic);
        for (const auto& topic : sent_to) {
            const auto lost = missing(fed_on(topic), values_of(world_.bus(), topic));
            if (lost > 0) {
                differences_.push_back(
                    fmt::format("{}: {} acknowledged records lost", topic, lost));
            }
        }
    }

    std::vector<std::string> differences() { return std::move(differences_); }

private:
    class StillClock final : public Clock {
    public:
        WallTime wall() const override { return {}; }
        SteadyTime steady() const override { return {}; }
    };

    Values& said_on(std::string_view topic) { return said_[std::string(topic)]; }

    Values fed_on(std::string_view topic) const {
        Values values;
        for (const auto& message : world_.fed()) {
            if (message.topic == topic) values.insert(message.value);
        }
        return values;
    }

    void run(const streams::Worker::Options& stage) {
        const auto all = app::make_topics(World::kPartitions, 0);
        streams::MemoryBus bus;
        VIGIE_ASSERT(bus.ensure_topics(all).has_value());
        const std::set<std::string> inputs(stage.subscription.topics.begin(),
                                           stage.subscription.topics.end());
        for (const auto& topic : inputs) {
            for (const auto& record : world_.bus().records(topic)) {
                VIGIE_ASSERT(streams::append_and_wait(bus, {record.message}).has_value());
            }
        }
        auto worker = streams::Worker::open(bus, stage, metrics_, log_, clock_);
        VIGIE_ASSERT(worker.has_value());
        while (true) {
            const auto done = (*worker)->step({500, std::chrono::milliseconds{0}});
            VIGIE_ASSERT(done.has_value());
            if (*done == 0) break;
        }
        for (const auto& topic : all) {
            if (!inputs.contains(topic.name)) said_[topic.name].merge(values_of(bus, topic.name));
        }
        for (const auto& topic : inputs) {
            const auto partitions = bus.partition_count(topic);
            for (std::int32_t index = 0; index < *partitions; ++index) {
                check_state(bus, stage.subscription.group, {topic, index});
            }
        }
    }

    void check_state(const streams::MemoryBus& bus, const std::string& group,
                     const streams::Partition& partition) {
        const auto wanted = bus.state(group, partition);
        const auto there = world_.bus().state(group, partition);
        if (wanted == there) return;
        std::map<std::string, std::string> other;
        std::ranges::set_symmetric_difference(wanted, there, std::inserter(other, other.end()));
        differences_.push_back(fmt::format("{} behind {}: {} rows of state differ, like '{}'",
                                           group, to_string(partition), other.size(),
                                           other.begin()->first));
    }

    void check(std::string_view topic, const Values& wanted, const Values& there) {
        if (wanted == there) return;
        differences_.push_back(fmt::format("{}: {} records lost, {} too many", topic,
                                           missing(wanted, there), missing(there, wanted)));
    }

    const World& world_;
    MetricsRegistry metrics_;
    MemoryLog log_;
    StillClock clock_;
    std::map<std::string, Values, std::less<>> said_;
    std::vector<std::string> differences_;
};

}  // namespace

std::vector<std::string> compare_with_faultless(const World& world) {
    Faultless faultless(world);
    faultless.check_senders();
    faultless.check_outputs();
    return faultless.differences();
}

}  // namespace vigie::sim
