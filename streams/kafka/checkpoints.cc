#include "streams/kafka/checkpoints.h"

#include <utility>

#include <fmt/format.h>

#include "streams/kafka/metrics.h"

namespace vigie::streams::kafka {

Checkpoints::Checkpoints(const Cluster& cluster, std::string group)
    : cluster_(cluster), group_(std::move(group)), files_(cluster.options.state_folder, false) {}

// Of one changelog: installations that share a folder do not share state.
std::string Checkpoints::owner_of(const Partition& input) const {
    return fmt::format("{}/{}", cluster_.full_name(state_topic(group_)), to_string(input));
}

std::optional<Checkpoints::Checkpoint> Checkpoints::load(const Partition& input) const {
    if (cluster_.options.state_folder.empty()) return std::nullopt;
    const std::string owner = owner_of(input);
    const auto none = [this](std::string_view why) {
        unused(why);
        return std::nullopt;
    };
    const auto name = files_.newest(owner);
    if (!name) return none("missing");
    const auto bytes = files_.load(owner, *name);
    auto saved = bytes ? decode_saved_state(*bytes) : std::nullopt;
    if (!saved) return none("damaged");
    if (saved->cluster_id != cluster_.id()) return none("other_cluster");
    const WallTime now = cluster_.clock.wall();
    if (saved->at > now || saved->at + kAgeMax < now) return none("old");
    return Checkpoint{saved->next, saved->at, std::move(saved->rows)};
}

void Checkpoints::unused(std::string_view why) const {
    cluster_.metrics
        .counter(metrics::kCheckpointsUnused, {{"group", group_}, {"why", std::string(why)}})
        .add();
}

void Checkpoints::save(const Partition& input, const Checkpoint& checkpoint) {
    if (cluster_.options.state_folder.empty() || cluster_.id().empty()) return;
    const std::string owner = owner_of(input);
    const auto saved = files_.save(
        owner, encode_saved_state(cluster_.id(), checkpoint.at, checkpoint.next, checkpoint.rows));
    if (saved) {
        files_.keep(owner, *saved);
        return;
    }
    cluster_.log.warn(
        "checkpoint of state not saved: a restart reads more of the changelog",
        {{"group", group_}, {"partition", to_string(input)}, {"reason", saved.error().message}});
}

}  // namespace vigie::streams::kafka
