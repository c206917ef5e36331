#include "streams/kafka/standby.h"

#include <algorithm>
#include <utility>

#include "streams/kafka/metrics.h"

namespace vigie::streams::kafka {

namespace {

constexpr std::chrono::milliseconds kInterval{1000};
constexpr std::chrono::milliseconds kYield{1};
// Shorter than other waits for an answer: whoever closes the consumer waits for it.
constexpr std::chrono::milliseconds kRangeWaitMax{1000};

// Copies of no time yet: the first reading begins them.
std::map<Partition, Changelog::Copies> empty_copies(const Changelog& changelog,
                                                    std::span<const Partition> inputs) {
    std::map<Partition, Changelog::Copies> copies;
    for (const Partition& input : inputs) {
        copies[changelog.changelog_of(input)][to_string(input)].input = input;
    }
    return copies;
}

}  // namespace

Standby::Standby(const Cluster& cluster, const Changelog& changelog, const std::string& group,
                 std::span<const Partition> inputs)
    : cluster_(cluster),
      changelog_(changelog),
      group_(group),
      records_(cluster.metrics.counter(metrics::kStandbyRecords, {{"group", group}})),
      failures_(cluster.metrics.counter(metrics::kStandbyFailures, {{"group", group}})),
      behind_(cluster.metrics.gauge(metrics::kStandbyBehind, {{"group", group}})),
      copies_(empty_copies(changelog, inputs)),
      thread_(std::in_place, "kafka-standby", [this](const std::stop_token& stop) { run(stop); }) {}

Standby::~Standby() {
    thread_.reset();
    for (auto& [changelog, copies] : copies_) {
        for (auto& [name, copy] : copies) changelog_.save(std::move(copy));
    }
}

// Null for a partition that its topic got later.
Changelog::Copies* Standby::copies_of(const Partition& input) {
    const auto found = copies_.find(changelog_.changelog_of(input));
    return found == copies_.end() ? nullptr : &found->second;
}

Changelog::Copies Standby::take(std::span<const Partition> inputs) {
    ++waiting_;
    const std::scoped_lock lock(mutex_);
    --waiting_;
    Changelog::Copies taken;
    for (const Partition& input : inputs) {
        if (auto* const copies = copies_of(input)) taken.insert(copies->extract(to_string(input)));
    }
    return taken;
}

void Standby::follow(const Partition& input, std::unique_ptr<TableStore> store) {
    const std::size_t unsaved = store->unsaved();
    auto now = store->take();
    Changelog::Copy copy{
        .input = input, .decoder = {}, .next = now.next, .at = now.at, .read = unsaved};
    copy.decoder.start_from(std::move(now.rows));
    ++waiting_;
    const std::scoped_lock lock(mutex_);
    --waiting_;
    if (auto* const copies = copies_of(input)) (*copies)[to_string(input)] = std::move(copy);
}

void Standby::run(const std::stop_token& stop) {
    bool was_failing = false;
    while (!stop.stop_requested()) {
        Offset behind = 0;
        Status status;
        for (auto& [changelog, copies] : copies_) {
            // Whoever waits goes first: a mutex is not fair.
            while (waiting_ > 0 && !stop.stop_requested()) wait_for(kYield, stop);
            if (stop.stop_requested()) return;
            const auto lacking = catch_up(changelog, copies, stop);
            if (lacking) {
                behind += *lacking;
            } else {
                status = fail(lacking.error());
            }
        }
        if (status) behind_.set(static_cast<double>(behind));
        if (!status) failures_.add();
        if (!status && !was_failing) {
            cluster_.log.warn("standby copies of state fall behind",
                              {{"group", group_}, {"reason", status.error().message}});
        }
        if (status && was_failing) {
            cluster_.log.info("standby copies of state catch up", {{"group", group_}});
        }
        was_failing = !status;
        wait_for(kInterval, stop);
    }
}

Result<Offset> Standby::catch_up(const Partition& changelog, Changelog::Copies& copies,
                                 const std::stop_token& stop) {
    const WallTime asked = cluster_.clock.wall();
    VIGIE_TRY_ASSIGN(const auto range, cluster_.range(changelog, Cluster::End::kStable,
                                                      cluster_.clock.steady() + kRangeWaitMax));
    const std::scoped_lock lock(mutex_);
    Offset next = range.end;
    for (auto& [name, copy] : copies) {
        // Given back meanwhile: it may have more than the range says.
        if (copy.at >= asked && copy.next > range.end) return 0;
        if (!changelog_.usable(copy, range)) copy = changelog_.begin(copy.input, range);
        next = std::min(next, copy.next);
    }
    VIGIE_TRY(changelog_.catch_up(changelog, range, copies, records_,
                                  [&](Offset) { return waiting_ == 0 && !stop.stop_requested(); }));
    return range.end - next;
}

}  // namespace vigie::streams::kafka
