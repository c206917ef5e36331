#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <rocksdb/db.h>

#include "core/result.h"

namespace vigie::streams {

// Opens the folder of a closed embedded log with RocksDB itself and shows each column family.
inline void with_families(
    const std::string& path,
    const std::function<void(rocksdb::DB&, rocksdb::ColumnFamilyHandle&)>& visit) {
    std::vector<std::string> names;
    VIGIE_ASSERT(rocksdb::DB::ListColumnFamilies({}, path, &names).ok());
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    for (const auto& name : names) families.emplace_back(name, rocksdb::ColumnFamilyOptions{});
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* raw = nullptr;
    VIGIE_ASSERT(rocksdb::DB::Open({}, path, families, &handles, &raw).ok());
    const std::unique_ptr<rocksdb::DB> db(raw);
    for (auto* handle : handles) {
        visit(*db, *handle);
        db->DestroyColumnFamilyHandle(handle);
    }
}

}  // namespace vigie::streams
