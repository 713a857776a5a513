/* The user's configuration of Gramophone. */
#pragma once

#include <cstdlib>
#include <filesystem>

namespace gramophone {

/* Where a file of it is. */
inline std::filesystem::path configurationFile(const char* name)
{
    const char* place = std::getenv("XDG_CONFIG_HOME");
    const char* home = std::getenv("HOME");
    const bool stated = place != nullptr && *place != '\0';
    return (stated ? std::filesystem::path(place) : std::filesystem::path(home != nullptr ? home : "") / ".config") / "gramophone" / name;
}

}  // namespace gramophone
