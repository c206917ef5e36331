#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <rocksdb/db.h>

#include "core/result.h"
#include "streams/rocks/rocks_bus.h"

namespace vigie::streams::rocks {

// What a RocksDB status lets the caller do; `doing` goes in front of the message.
Error error_of(const rocksdb::Status& status, std::string_view doing);

// Where the chunks of each partition of a topic lie. Not owned: the database does.
using Families = std::vector<rocksdb::ColumnFamilyHandle*>;

// The open RocksDB and its column families: "default" for topic and segment rows, "state" for
// the groups' state, and one for the chunks of each partition, so that the keys of a family only
// ever grow: its files then never overlap, and RocksDB moves them down its levels without writing
// them again. "topic:NAME" is that of partition 0, "topic:NAME/3" that of partition 3. All but
// create_families() is safe from any thread.
class Database {
public:
    static Result<std::unique_ptr<Database>> open(const RocksBus::Options& wanted);
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    rocksdb::DB& db() { return *db_; }
    rocksdb::ColumnFamilyHandle* state() { return state_; }

    // A power cut had left the list of files half written: manifest.h.
    bool mended() const { return mended_; }

    // Those of a topic that is stored. Topics with several partitions made by the first version
    // have them all in one family, and keep it.
    Result<Families> families(const std::string& topic, std::int32_t partitions) const;
    // Those of a new topic; what is missing is created. Not from two threads at once.
    Result<Families> create_families(const std::string& topic, std::int32_t partitions);

private:
    Database() = default;

    std::unique_ptr<rocksdb::DB> db_;
    rocksdb::ColumnFamilyHandle* state_ = nullptr;
    bool mended_ = false;
    std::map<std::string, rocksdb::ColumnFamilyHandle*, std::less<>> families_;
};

}  // namespace vigie::streams::rocks
