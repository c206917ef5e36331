#include "streams/groups.h"

namespace vigie::streams {

Groups::MemberId Groups::join(const std::string& group, std::vector<Topic> topics) {
    const MemberId member = ++last_member_;
    Group& joined = groups_[group];
    joined.members.emplace(member, std::move(topics));
    group_of_.emplace(member, group);
    assign(joined);
    return member;
}

void Groups::leave(MemberId member) {
    const auto found = group_of_.find(member);
    if (found == group_of_.end()) return;
    Group& group = groups_[found->second];
    group.members.erase(member);
    assign(group);
    if (group.members.empty()) groups_.erase(found->second);
    group_of_.erase(found);
}

std::map<Partition, Groups::Epoch> Groups::owned(MemberId member) const {
    std::map<Partition, Epoch> owned;
    const auto found = group_of_.find(member);
    if (found == group_of_.end()) return owned;
    for (const auto& [partition, owner] : groups_.at(found->second).owners) {
        if (owner.member == member) owned.emplace(partition, owner.epoch);
    }
    return owned;
}

bool Groups::owns(MemberId member, const Partition& partition, Epoch epoch) const {
    const auto found = group_of_.find(member);
    if (found == group_of_.end()) return false;
    const auto& owners = groups_.at(found->second).owners;
    const auto owner = owners.find(partition);
    return owner != owners.end() && owner->second.member == member && owner->second.epoch == epoch;
}

void Groups::assign(Group& group) {
    ++version_;
    std::map<std::string, std::vector<MemberId>> members_of;
    std::map<std::string, std::int32_t> partitions_of;
    for (const auto& [member, topics] : group.members) {
        for (const Topic& topic : topics) {
            members_of[topic.name].push_back(member);
            partitions_of[topic.name] = topic.partitions;
        }
    }
    std::map<Partition, Owner> owners;
    for (const auto& [topic, members] : members_of) {
        const auto count = static_cast<std::int32_t>(members.size());
        const std::int32_t partitions = partitions_of[topic];
        std::int32_t next = 0;
        for (std::int32_t i = 0; i < count; ++i) {
            const std::int32_t share = partitions / count + (i < partitions % count ? 1 : 0);
            for (std::int32_t given = 0; given < share; ++given) {
                const Partition partition{topic, next++};
                const auto before = group.owners.find(partition);
                const MemberId member = members[static_cast<std::size_t>(i)];
                const bool stays = before != group.owners.end() && before->second.member == member;
                owners[partition] = stays ? before->second : Owner{member, ++last_epoch_};
            }
        }
    }
    group.owners = std::move(owners);
}

AssignmentDiff diff_assignment(const std::map<Partition, Groups::Epoch>& known,
                               const std::map<Partition, Groups::Epoch>& owned) {
    AssignmentDiff diff;
    for (const auto& [partition, epoch] : known) {
        const auto now = owned.find(partition);
        if (now == owned.end() || now->second != epoch) diff.revoked.push_back(partition);
    }
    for (const auto& [partition, epoch] : owned) {
        const auto before = known.find(partition);
        if (before == known.end() || before->second != epoch) {
            diff.assigned.emplace(partition, epoch);
        }
    }
    return diff;
}

}  // namespace vigie::streams
