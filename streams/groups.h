#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "streams/bus.h"

namespace vigie::streams {

// Which member of which consumer group owns which partition, for buses whose members all live
// in one process. A change of members takes effect at once: each partition that moves gets a
// new epoch, the old owner's commits are refused by it (fencing), and members learn of it in
// their next poll. Partitions are dealt as Kafka's range assignor does: contiguous, in the
// order the members joined. Not thread-safe: the bus calls it under its own lock.
class Groups {
public:
    using MemberId = std::uint64_t;
    using Epoch = std::uint64_t;  // Never repeats while the process lives.

    struct Topic {
        std::string name;
        std::int32_t partitions = 1;
    };

    MemberId join(const std::string& group, std::vector<Topic> topics);
    void leave(MemberId member);
    // False also for a member that was taken for dead.
    bool knows(MemberId member) const { return group_of_.contains(member); }

    // The partitions of a member, with the epoch in which it got each.
    std::map<Partition, Epoch> owned(MemberId member) const;
    bool owns(MemberId member, const Partition& partition, Epoch epoch) const;

    // Grows with every join and leave: equal versions mean that nothing moved.
    std::uint64_t version() const { return version_; }

private:
    struct Owner {
        MemberId member = 0;
        Epoch epoch = 0;
    };
    struct Group {
        std::map<MemberId, std::vector<Topic>> members;
        std::map<Partition, Owner> owners;
    };
    void assign(Group& group);

    std::map<std::string, Group> groups_;
    std::map<MemberId, std::string> group_of_;
    MemberId last_member_ = 0;
    Epoch last_epoch_ = 0;
    std::uint64_t version_ = 0;
};

// What one member knows of its assignment, and what changed since it last looked.
struct AssignmentDiff {
    std::vector<Partition> revoked;
    std::map<Partition, Groups::Epoch> assigned;

    bool empty() const { return revoked.empty() && assigned.empty(); }
};
AssignmentDiff diff_assignment(const std::map<Partition, Groups::Epoch>& known,
                               const std::map<Partition, Groups::Epoch>& owned);

}  // namespace vigie::streams
