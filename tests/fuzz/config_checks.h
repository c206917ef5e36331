#pragma once

#include <cstdio>
#include <string>
#include <string_view>

#include "tests/fuzz/event_checks.h"
#include "tests/fuzz/yaml_text.h"

// What must hold for every complaint about a YAML file.
namespace vigie::fuzz {

// "file.yaml:3:5: …", or "file.yaml: …" for what is missing from it.
inline void check_complaint(const std::string& complaint, const std::string& file,
                            std::string_view text) {
    check_reason(complaint, 2000);
    VIGIE_ASSERT(complaint.starts_with(file + ":"));
    int line = 0;
    int column = 0;
    if (std::sscanf(complaint.c_str() + file.size(), ":%d:%d: ", &line, &column) == 2) {
        check_place(text, line, column);
    } else if (std::sscanf(complaint.c_str() + file.size(), ": line %d, column %d: ", &line,
                           &column) == 2) {
        check_place(text, line, column);
    } else {
        VIGIE_ASSERT(complaint.starts_with(file + ": "));
    }
}

}  // namespace vigie::fuzz
