/* The engine process: started with one end of a socket, ended with the plug-in. */
#pragma once

#include <string>
#include <sys/types.h>

namespace gramophone {

/* Where the user's configuration of Gramophone is. */
std::string configurationFile(const char* name);

class EngineProcess {
public:
    ~EngineProcess() { end(); }

    /* Start the command in the user's `bridge.command` with `descriptor` as its number 3, which is closed here in any case. Return
       what is wrong, for people; empty if nothing is. */
    std::string start(int descriptor);

    /* Give it a moment to end by itself, as its socket has been closed, then end it. */
    void end();

private:
    pid_t fProcess = -1;
};

}  // namespace gramophone
