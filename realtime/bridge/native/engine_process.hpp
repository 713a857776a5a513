/* The engine process: started with one end of a socket, ended with the plug-in. */
#pragma once

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <spawn.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

extern char** environ;

namespace gramophone {

/* Where the user's configuration of Gramophone is. */
inline std::string configurationFile(const char* name)
{
    const char* place = std::getenv("XDG_CONFIG_HOME");
    const char* home = std::getenv("HOME");
    const std::string folder = place != nullptr && *place != '\0' ? place : std::string(home != nullptr ? home : "") + "/.config";
    return folder + "/gramophone/" + name;
}

/* Start `words` in a process group of its own, with no descriptors but the usual ones and `descriptor`; return the error number. */
inline int spawn(std::vector<std::string>& words, int descriptor, pid_t& process)
{
    std::vector<char*> arguments;
    for (std::string& word : words)
        arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, descriptor, 3);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&actions, 4);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none, usual;
    sigemptyset(&none);
    sigfillset(&usual);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    const int failure = posix_spawnp(&process, arguments[0], &actions, &attributes, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return failure;
}

class EngineProcess {
public:
    ~EngineProcess() { end(); }

    /* Start the command in the user's `bridge.command` with `descriptor` as its number 3, which is closed here in any case. Return
       what is wrong, for people; empty if nothing is. */
    std::string start(int descriptor)
    {
        std::ifstream file(configurationFile("bridge.command"));
        std::vector<std::string> words;
        for (std::string word; std::getline(file, word);)
            if (!word.empty())
                words.push_back(word);
        std::string wrong = "no engine is installed for this user: run `gramophone bridge install`";
        if (!words.empty()) {
            const int failure = spawn(words, descriptor, fProcess);
            wrong = failure == 0 ? "" : "the engine " + words[0] + " does not start: " + std::strerror(failure);
        }
        if (!wrong.empty())
            fProcess = -1;
        close(descriptor);
        return wrong;
    }

    /* Give it two seconds to end by itself, as its socket has been closed, then end it. */
    void end()
    {
        if (fProcess <= 0)
            return;
        for (int waited = 0; waitpid(fProcess, nullptr, WNOHANG) == 0; waited += 5) {
            if (waited >= 2000)
                kill(fProcess, SIGKILL);
            usleep(5000);
        }
        fProcess = -1;
    }

private:
    pid_t fProcess = -1;
};

}  // namespace gramophone
