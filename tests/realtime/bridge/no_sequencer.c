/* ALSA's sequencer as far as Qtractor needs it, for machines without one (containers): it opens, has a port or more, and no event ever comes.
   To be loaded before alsa-lib (LD_PRELOAD). */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

static int opened[64], ends[2] = {-1, -1}, ports;

int snd_seq_open(void** sequencer)
{
    *sequencer = opened;
    return ends[0] < 0 ? pipe(ends) : 0;
}

int snd_seq_poll_descriptors(void* sequencer, struct pollfd* wanted)
{
    (void)sequencer;
    wanted->fd = ends[0];
    wanted->events = POLLIN;
    return 1;
}

#define RETURNS(value, name) \
    int name(void)           \
    {                        \
        return value;        \
    }

RETURNS(ports++, snd_seq_create_simple_port)
RETURNS(128, snd_seq_client_id)
RETURNS(1, snd_seq_alloc_queue)
RETURNS(1, snd_seq_poll_descriptors_count)
RETURNS(-EAGAIN, snd_seq_event_input)
RETURNS(-ENOENT, snd_seq_query_next_client)
RETURNS(-ENOENT, snd_seq_query_next_port)
RETURNS(-ENOENT, snd_seq_query_port_subscribers)
RETURNS(-ENOENT, snd_timer_open)
RETURNS(-ENOENT, snd_timer_query_open)
RETURNS(0, snd_seq_close)
RETURNS(0, snd_seq_control_queue)
RETURNS(0, snd_seq_delete_simple_port)
RETURNS(0, snd_seq_drain_output)
RETURNS(0, snd_seq_drop_input)
RETURNS(0, snd_seq_drop_output)
RETURNS(0, snd_seq_event_input_pending)
RETURNS(0, snd_seq_event_output)
RETURNS(0, snd_seq_event_output_direct)
RETURNS(0, snd_seq_free_event)
RETURNS(0, snd_seq_free_queue)
RETURNS(0, snd_seq_get_any_client_info)
RETURNS(0, snd_seq_get_any_port_info)
RETURNS(0, snd_seq_get_port_info)
RETURNS(0, snd_seq_get_queue_status)
RETURNS(0, snd_seq_get_queue_tempo)
RETURNS(0, snd_seq_remove_events)
RETURNS(0, snd_seq_set_client_name)
RETURNS(0, snd_seq_set_port_info)
RETURNS(0, snd_seq_set_queue_tempo)
RETURNS(0, snd_seq_set_queue_timer)
RETURNS(0, snd_seq_subscribe_port)
RETURNS(0, snd_seq_unsubscribe_port)
