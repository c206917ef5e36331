#pragma once

#include <string>

#include "core/result.h"

namespace vigie::streams::rocks {

// Mends what a power cut does to RocksDB's MANIFEST, the log of which files count. RocksDB syncs
// each record of it before it relies on it, so a record that was being written holds nothing that
// counts. It takes one that is cut short for the end; but a file system may also have made the file
// as long as it was to be, with zeros where nothing was written yet, and that it takes for damage.
//
// Cuts such a record off the MANIFEST of the database in `folder`, which nobody has open, into the
// file torn-MANIFEST-…. False, and nothing is touched, when it ends otherwise: then the damage is
// no power cut's. kUnavailable when the files cannot be read or written. The format: RocksDB's
// "Write Ahead Log File Format", which the MANIFEST shares.
Result<bool> cut_torn_manifest(const std::string& folder);

}  // namespace vigie::streams::rocks
