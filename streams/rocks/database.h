#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include <rocksdb/db.h>

#include "core/result.h"

namespace vigie::streams::rocks {

// What a RocksDB status lets the caller do; `doing` goes in front of the message.
Error error_of(const rocksdb::Status& status, std::string_view doing);

// The open RocksDB and its column families: "default" for topic and segment rows, "state" for
// the groups' state, "topic:" + name for the chunks of a topic. All but
// topic_family() is safe from any thread.
class Database {
public:
    static Result<std::unique_ptr<Database>> open(const std::string& path, bool read_only);
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    rocksdb::DB& db() { return *db_; }
    rocksdb::ColumnFamilyHandle* state() { return state_; }

    // Creates the family when it is missing. Not from two threads at once.
    Result<rocksdb::ColumnFamilyHandle*> topic_family(const std::string& topic);

private:
    Database() = default;

    std::unique_ptr<rocksdb::DB> db_;
    rocksdb::ColumnFamilyHandle* state_ = nullptr;
    std::map<std::string, rocksdb::ColumnFamilyHandle*, std::less<>> families_;
};

}  // namespace vigie::streams::rocks
