#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>

#include "core/result.h"

namespace vigie {

// A folder of its own for a test, gone with it.
class TempFolder {
public:
    TempFolder() : path_((std::filesystem::temp_directory_path() / "vigie-XXXXXX").string()) {
        VIGIE_ASSERT(mkdtemp(path_.data()) != nullptr);
    }
    TempFolder(const TempFolder&) = delete;
    TempFolder& operator=(const TempFolder&) = delete;
    ~TempFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    const std::string& path() const { return path_; }

private:
    std::string path_;
};

}  // namespace vigie
