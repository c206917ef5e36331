#include "streams/kafka/standby.h"

#include <algorithm>
#include <utility>

#include "streams/kafka/metrics.h"

namespace vigie::streams::kafka {

namespace {

constexpr std::chrono::milliseconds kInterval{1000};

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
      thread_("kafka-standby", [this](const std::stop_token& stop) { run(stop); }) {}

Changelog::Copies Standby::take(std::span<const Partition> inputs) {
    ++waiting_;
    const std::scoped_lock lock(mutex_);
    --waiting_;
    Changelog::Copies taken;
    for (const Partition& input : inputs) {
        taken.insert(copies_[changelog_.changelog_of(input)].extract(to_string(input)));
    }
    return taken;
}

void Standby::follow(const Partition& input, std::unique_ptr<TableStore> store) {
    Changelog::Copy copy{.input = input,
                         .decoder = {},
                         .next = store->next(),
                         .at = cluster_.clock.wall(),
                         .read = store->unsaved()};
    copy.decoder.start_from(store->take_rows());
    ++waiting_;
    const std::scoped_lock lock(mutex_);
    --waiting_;
    copies_[changelog_.changelog_of(input)][to_string(input)] = std::move(copy);
}

void Standby::run(const std::stop_token& stop) {
    // Its keys stay as they are.
    std::vector<Partition> changelogs;
    changelogs.reserve(copies_.size());
    for (const auto& [changelog, copies] : copies_) changelogs.push_back(changelog);
    bool was_failing = false;
    while (!stop.stop_requested()) {
        Offset behind = 0;
        Status status;
        for (const Partition& changelog : changelogs) {
            const auto lacking = catch_up(changelog, stop);
            if (lacking) {
                behind += *lacking;
            } else {
                status = fail(lacking.error());
            }
        }
        behind_.set(static_cast<double>(behind));
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

Result<Offset> Standby::catch_up(const Partition& changelog, const std::stop_token& stop) {
    const std::scoped_lock lock(mutex_);
    Changelog::Copies& copies = copies_.at(changelog);
    if (copies.empty()) return 0;
    VIGIE_TRY_ASSIGN(const auto range, cluster_.range(changelog, Cluster::End::kStable));
    Offset next = range.end;
    for (auto& [name, copy] : copies) {
        if (!changelog_.usable(copy, range)) copy = changelog_.begin(copy.input, range);
        next = std::min(next, copy.next);
    }
    VIGIE_TRY(changelog_.catch_up(changelog, range, copies, records_,
                                  [&](Offset) { return waiting_ == 0 && !stop.stop_requested(); }));
    return range.end - next;
}

}  // namespace vigie::streams::kafka
