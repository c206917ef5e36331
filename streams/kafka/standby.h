#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "streams/kafka/changelog.h"
#include "streams/runtime.h"

namespace vigie::streams::kafka {

// Copies in memory of the rows that other members of a group own, as a rule a second behind them:
// whoever takes such a partition over reads only what the changelog got since. A hint, as a
// checkpoint is. Safe from any thread.
class Standby {
public:
    // Begins to follow these. `cluster` and `changelog` must outlive it.
    Standby(const Cluster& cluster, const Changelog& changelog, const std::string& group,
            std::span<const Partition> inputs);

    // Keeps what it has on the local disk, as checkpoints.
    ~Standby();

    // Follows them no longer. Ends a reading under way.
    Changelog::Copies take(std::span<const Partition> inputs);
    // Another member owns it from now on; `store` is what we had.
    void follow(const Partition& input, std::unique_ptr<TableStore> store);

private:
    void run(const std::stop_token& stop);
    // How far the copies were behind.
    Result<Offset> catch_up(const Partition& changelog, Changelog::Copies& copies,
                            const std::stop_token& stop);
    Changelog::Copies* copies_of(const Partition& input);

    const Cluster& cluster_;
    const Changelog& changelog_;
    const std::string group_;
    Counter& records_;
    Counter& failures_;
    Gauge& behind_;

    std::atomic<int> waiting_ = 0;  // Those who wait for the mutex: a reading ends for them.
    std::mutex mutex_;              // Protects the copies, also while they are read on.
    // By the partition of the changelog. No partition comes or goes.
    std::map<Partition, Changelog::Copies> copies_;
    std::optional<Thread> thread_;  // Last: it uses the rest until joined.
};

}  // namespace vigie::streams::kafka
