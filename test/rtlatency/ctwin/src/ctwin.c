// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// ctwin is rtlatency in C: for each of its scenarios the loop that a C
// programmer would write for a SCHED_FIFO thread, with the same releases, the
// same recording and the same result file. What it measures is the limit
// that the kernel and the machine set.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

typedef int64_t i64;
typedef uint64_t u64;

static void die(const char *fmt, ...) {
	va_list ap;
	va_start(ap, fmt);
	fprintf(stderr, "ctwin: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
	exit(1);
}

static i64 clock_ns(clockid_t c) {
	struct timespec ts;
	clock_gettime(c, &ts);
	return (i64)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static i64 now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

static struct timespec to_ts(i64 ns) {
	struct timespec ts = {ns / 1000000000, ns % 1000000000};
	return ts;
}

static void sleep_until(i64 ns) {
	struct timespec ts = to_ts(ns);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

// Recording: the same buckets as package result.

enum { LOG_BITS = 7, LOG_HALF = 1 << (LOG_BITS - 1), LOG_MAX = 40,
       LOG_BUCKETS = (LOG_MAX - LOG_BITS) * LOG_HALF + (1 << LOG_BITS) };

static int log_index(i64 ns) {
	if (ns < 1 << LOG_BITS)
		return ns < 0 ? 0 : ns;
	if (ns >= (i64)1 << LOG_MAX)
		return LOG_BUCKETS - 1;
	int shift = 64 - __builtin_clzll(ns) - LOG_BITS;
	return shift * LOG_HALF + (int)(ns >> shift);
}

static void log_bounds(int i, i64 *from, i64 *to) {
	if (i < 1 << LOG_BITS) {
		*from = i, *to = i + 1;
		return;
	}
	int shift = i / LOG_HALF - 1;
	i64 m = i - shift * LOG_HALF;
	*from = m << shift, *to = (m + 1) << shift;
}

typedef struct task {
	const char *name;
	int index, prio; // prio 0: an ordinary thread
	i64 period;
	int unpaced; // has no releases, so none can be missed
	void (*f)(struct task *);
	pthread_t thread;
	atomic_int tid;

	_Atomic u64 cycles;
	u64 missed, early, overflow, worst_cycle;
	i64 min, max, act, sum, worst_at;
	u64 *linear;
	u64 log[LOG_BUCKETS];
} task;

// The command line.
static i64 period = 0, duration = 0, threshold = 0;
static u64 loops = 0;
static int priority = 0, policy = SCHED_OTHER, ntasks = 1, limit = 1000, mlock_all = 0, conns = 0, quiet = 0, spread = 0, split = -1;
static const char *scenario = "periodic", *result = NULL;

static task *tasks[64];
static int total, measured; // tasks[measured..total) belong to the scenario but are not measured
static i64 begin, end;
static atomic_int stopped, tripped = -1;
static pthread_barrier_t ready, gate;

static u64 record_missed(task *t, i64 lat, i64 now, u64 missed) {
	u64 n = atomic_load_explicit(&t->cycles, memory_order_relaxed);
	if (n == 0 || lat < t->min)
		t->min = lat;
	if (n == 0 || lat > t->max)
		t->max = lat, t->worst_at = now - begin, t->worst_cycle = n;
	t->act = lat;
	t->sum += lat;
	if (lat < 0)
		t->early++;
	i64 us = lat < 0 ? 0 : lat / 1000;
	if (us < limit)
		t->linear[us]++;
	else
		t->overflow++;
	t->log[log_index(lat)]++;
	for (u64 i = 1; i <= missed; i++)
		t->log[log_index(lat - (i64)i * t->period)]++;
	t->missed += missed;
	atomic_store_explicit(&t->cycles, n + 1, memory_order_release);
	if (threshold && lat > threshold) {
		int none = -1;
		atomic_compare_exchange_strong(&tripped, &none, t->index);
		stopped = 1;
	}
	return missed;
}

static u64 sample(task *t, i64 lat, i64 now) {
	u64 missed = 0;
	if (t->period && !t->unpaced && lat > 0)
		missed = lat / t->period;
	return record_missed(t, lat, now, missed);
}

static int over(task *t, i64 next) {
	return stopped || (end && next >= end) || (loops && t->cycles >= loops);
}

static void *xcalloc(size_t n, size_t size) {
	void *p = calloc(n, size);
	if (!p)
		die("out of memory");
	memset(p, 1, n * size); // touched: recording takes no page fault
	memset(p, 0, n * size);
	return p;
}

static task *add(const char *name, int prio, i64 per, void (*f)(task *)) {
	if (total == sizeof tasks / sizeof *tasks)
		die("too many tasks");
	task *t = xcalloc(1, sizeof *t);
	t->name = name, t->index = total, t->period = per, t->f = f;
	t->prio = policy == SCHED_OTHER ? 0 : prio;
	t->linear = xcalloc(limit, sizeof *t->linear);
	return tasks[total++] = t;
}

static int below(int n) { return priority - n > 1 ? priority - n : 1; }

static void *run_task(void *p) {
	task *t = p;
	t->tid = syscall(SYS_gettid);
	if (t->prio) {
		if (split >= 0) {
			cpu_set_t mine;
			CPU_ZERO(&mine);
			CPU_SET(split, &mine);
			if (sched_setaffinity(0, sizeof mine, &mine))
				die("--split: CPU %d: %s", split, strerror(errno));
		}
		struct sched_param sp = {.sched_priority = t->prio};
		if (sched_setscheduler(0, policy, &sp))
			die("sched_setscheduler: %s: needs CAP_SYS_NICE or RLIMIT_RTPRIO of at least %d", strerror(errno), t->prio);
	}
	pthread_barrier_wait(&ready);
	pthread_barrier_wait(&gate);
	if (t->f)
		t->f(t); // else a second set of figures, taken by another task
	return NULL;
}

// Periodic wake-up.

static void periodic(task *t) {
	for (i64 next = begin + t->period; !over(t, next);) {
		sleep_until(next);
		i64 now = now_ns();
		next += t->period * (i64)(1 + sample(t, now - next, now));
	}
}

static void relative_sleep(task *t) {
	struct timespec ts = to_ts(t->period);
	for (i64 now = now_ns(); !over(t, now); now = now_ns()) {
		clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
		i64 e = now_ns();
		sample(t, e - now - t->period, e);
	}
}

// A periodic task that allocates.

struct cell { struct cell *next; i64 v[3]; };
static struct cell *cells[64];
static void *spans[4];

static void alloc_cycle(task *t) {
	for (i64 next = begin + t->period; !over(t, next);) {
		sleep_until(next);
		i64 b = now_ns();
		struct cell *head = NULL;
		for (int i = 0; i < 64; i++) {
			free(cells[i]);
			struct cell *c = calloc(1, sizeof *c);
			c->next = head;
			head = cells[i] = c;
		}
		i64 now = now_ns();
		record_missed(tasks[1], now - b, now, 0);
		next += t->period * (i64)(1 + sample(t, now - next, now));
	}
}

static void alloc_span(task *t) {
	for (i64 next = begin + t->period; !over(t, next);) {
		sleep_until(next);
		i64 b = now_ns();
		free(spans[3]);
		memmove(spans + 1, spans, 3 * sizeof *spans);
		spans[0] = calloc(1, 64 << 10);
		i64 now = now_ns();
		record_missed(tasks[1], now - b, now, 0);
		next += t->period * (i64)(1 + sample(t, now - next, now));
	}
}

// Hand-over. The waker reads the clock just before it wakes the waiter; a
// release at which the waiter is not back yet is passed over.

static struct {
	void (*wait)(void);
	void (*wake)(void);
	_Atomic i64 armed, stamp;
	task *cost; // takes what a wake costs the waker, if set
} lever;

static sem_t sem;
static void sem_wait_all(void) { while (sem_wait(&sem) && errno == EINTR); }
static void sem_wake(void) { sem_post(&sem); }

static pthread_mutex_t cond_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int cond_set;
static void cond_wait_set(void) {
	pthread_mutex_lock(&cond_lock);
	while (!cond_set)
		pthread_cond_wait(&cond, &cond_lock);
	cond_set = 0;
	pthread_mutex_unlock(&cond_lock);
}
static void cond_wake(void) {
	pthread_mutex_lock(&cond_lock);
	cond_set = 1;
	pthread_mutex_unlock(&cond_lock);
	pthread_cond_signal(&cond);
}

// The signal is blocked in every thread.
static sigset_t usr1;
static void block_usr1(void) {
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
}
static void signal_wait(void) { while (sigwaitinfo(&usr1, NULL) < 0); }
static void signal_wake(void) { kill(getpid(), SIGUSR1); }

static void waiter(task *t) {
	for (i64 n = 1;; n++) {
		lever.armed = n;
		lever.wait();
		i64 now = now_ns();
		if (stopped)
			break;
		sample(t, now - lever.stamp, now);
		if (loops && (u64)n >= loops)
			stopped = 1;
	}
	lever.armed = -1;
}

static void compute_until(i64 ns) {
	while (now_ns() < ns && !stopped)
		;
}

static void wake_paced(void (*pace)(i64)) {
	i64 next = begin + period, n = 1;
	for (; !stopped && (!end || next < end); next += period) {
		i64 now = now_ns();
		if (next < now)
			next += (now - next) / period * period;
		pace(next);
		if (lever.armed != n)
			continue;
		n++;
		lever.stamp = now_ns();
		lever.wake();
		if (lever.cost && !stopped) {
			now = now_ns();
			sample(lever.cost, now - lever.stamp, now);
		}
	}
	stopped = 1;
	while (lever.armed >= 0) {
		if (lever.armed == n) {
			n++;
			lever.wake();
		}
		usleep(1000);
	}
}

static void waker(task *t) { wake_paced(sleep_until); }
static void busy_waker(task *t) { wake_paced(compute_until); }

static sem_t ping_sem, pong_sem;
static void ping(task *t) {
	for (i64 now = now_ns(); !over(t, now); now = now_ns()) {
		sem_post(&ping_sem);
		while (sem_wait(&pong_sem) && errno == EINTR);
		i64 e = now_ns();
		sample(t, e - now, e);
	}
	stopped = 1;
	sem_post(&ping_sem);
}
static void pong(task *t) {
	while (!stopped) {
		while (sem_wait(&ping_sem) && errno == EINTR);
		sem_post(&pong_sem);
	}
}

// Locks.

static pthread_mutex_t lock;
static _Atomic i64 held, wanted, done, unlocked_at;

static void init_lock(int inherit) {
	pthread_mutexattr_t a;
	pthread_mutexattr_init(&a);
	if (pthread_mutexattr_setprotocol(&a, inherit ? PTHREAD_PRIO_INHERIT : PTHREAD_PRIO_NONE))
		die("no priority inheritance here");
	pthread_mutex_init(&lock, &a);
}

static void lock_task(task *t) {
	i64 n = 1;
	for (i64 next = begin + t->period; !over(t, next); next += t->period) {
		i64 now = now_ns();
		if (next < now)
			next += (now - next) / t->period * t->period;
		sleep_until(next);
		if (held != n)
			continue;
		wanted = n;
		pthread_mutex_lock(&lock);
		now = now_ns();
		pthread_mutex_unlock(&lock);
		sample(t, now - unlocked_at, now);
		done = n++;
	}
	wanted = -1;
	done = -1;
}

static void lock_holder(task *t) {
	for (i64 n = 1; done >= 0; n++) {
		pthread_mutex_lock(&lock);
		held = n;
		while (wanted != n && wanted >= 0)
			;
		for (i64 e = now_ns() + 20000; now_ns() < e;)
			;
		unlocked_at = now_ns();
		pthread_mutex_unlock(&lock);
		while (done != n && done >= 0)
			usleep(50);
	}
}

static void work(i64 ns) {
	for (i64 e = clock_ns(CLOCK_THREAD_CPUTIME_ID) + ns; clock_ns(CLOCK_THREAD_CPUTIME_ID) < e;)
		for (volatile int i = 0; i < 200; i++)
			;
}

static void pin_first(void) {
	cpu_set_t all, one;
	sched_getaffinity(0, sizeof all, &all);
	CPU_ZERO(&one);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &all)) {
			CPU_SET(i, &one);
			break;
		}
	sched_setaffinity(0, sizeof one, &one);
}

static void high(task *t) {
	pin_first();
	for (i64 next = begin + t->period; !over(t, next);) {
		sleep_until(next);
		i64 b = now_ns();
		pthread_mutex_lock(&lock);
		i64 now = now_ns();
		pthread_mutex_unlock(&lock);
		next += t->period * (i64)(1 + sample(t, now - b, now));
	}
	stopped = 1;
}

static void before(i64 d, void (*f)(void)) {
	pin_first();
	for (i64 next = begin + period - d; !stopped; next += period) {
		i64 now = now_ns();
		if (next < now)
			next += (now - next + period - 1) / period * period;
		sleep_until(next);
		f();
	}
}
static void medium_work(void) { work(5000000); }
static void low_work(void) {
	pthread_mutex_lock(&lock);
	work(200000);
	pthread_mutex_unlock(&lock);
}
static void medium(task *t) { before(50000, medium_work); }
static void low(task *t) { before(100000, low_work); }

// Network.

enum { MESSAGE = 64 };
static int server_fd, *client_fds, *other_fds, nother;

static int xsocket(int type) {
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("socket: %s", strerror(errno));
	return fd;
}

static int bound(int type, struct sockaddr_in *a) {
	int fd = xsocket(type);
	socklen_t len = sizeof *a;
	memset(a, 0, sizeof *a);
	a->sin_family = AF_INET;
	a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (void *)a, sizeof *a) || getsockname(fd, (void *)a, &len))
		die("bind: %s", strerror(errno));
	return fd;
}

static int connected(int type, struct sockaddr_in *a) {
	int fd = xsocket(type), one = 1;
	struct timeval tv = {1, 0};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	if (connect(fd, (void *)a, sizeof *a))
		die("connect: %s", strerror(errno));
	if (type == SOCK_STREAM)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return fd;
}

static int read_full(int fd, char *b) {
	for (int n = 0; n < MESSAGE;) {
		ssize_t k = read(fd, b + n, MESSAGE - n);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return 0;
		n += k;
	}
	return 1;
}

static i64 call(int fd) {
	char b[MESSAGE] = {0};
	i64 t = now_ns(), got;
	memcpy(b, &t, sizeof t);
	if (write(fd, b, MESSAGE) != MESSAGE || !read_full(fd, b)) {
		if (!stopped)
			die("client: %s", strerror(errno));
		return t;
	}
	memcpy(&got, b, sizeof got);
	if (got != t)
		die("client: the echo of another request");
	return t;
}

static void client(task *t) {
	int i = 0, n = conns > 0 && client_fds[1] >= 0 ? conns : 1;
	for (i64 next = begin + t->period; !over(t, next); next += t->period) {
		i64 now = now_ns();
		if (next < now)
			next += (now - next) / t->period * t->period;
		sleep_until(next);
		i64 b = call(client_fds[i]), e = now_ns();
		sample(t, e - b, e);
		i = (i + 1) % n;
	}
	stopped = 1;
	shutdown(server_fd, SHUT_RDWR);
}

static void udp_server(task *t) {
	char b[2 * MESSAGE];
	struct sockaddr_in from;
	for (;;) {
		socklen_t len = sizeof from;
		ssize_t n = recvfrom(server_fd, b, sizeof b, 0, (void *)&from, &len);
		i64 now = now_ns(), sent;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < MESSAGE) {
			if (!stopped)
				die("server: %s", strerror(errno));
			return;
		}
		memcpy(&sent, b, sizeof sent);
		sample(t, now - sent, now);
		sendto(server_fd, b, n, 0, (void *)&from, len);
	}
}

static void tcp_server(task *t) {
	char b[MESSAGE];
	while (read_full(server_fd, b)) {
		i64 now = now_ns(), sent;
		memcpy(&sent, b, sizeof sent);
		sample(t, now - sent, now);
		if (write(server_fd, b, MESSAGE) != MESSAGE)
			break;
	}
	if (!stopped)
		die("server: %s", strerror(errno));
}

// The other connections: one ordinary thread serves them by poll, another
// uses them in turn.
static int *other_servers;
static void other_server(task *t) {
	struct pollfd *p = xcalloc(nother, sizeof *p);
	for (int i = 0; i < nother; i++)
		p[i].fd = other_servers[i], p[i].events = POLLIN;
	while (!stopped)
		for (int n = poll(p, nother, 100), i = 0; n > 0 && i < nother; i++)
			if (p[i].revents) {
				char b[MESSAGE];
				ssize_t k = read(p[i].fd, b, sizeof b);
				if (k > 0 && write(p[i].fd, b, k) != k)
					break;
				n--;
			}
}
static void other_client(task *t) {
	for (int i = 0; !stopped; i = (i + 1) % nother) {
		call(other_fds[i]);
		usleep(period / 1000);
	}
}

static void want_files(int n) {
	struct rlimit l;
	getrlimit(RLIMIT_NOFILE, &l);
	if (l.rlim_cur < (rlim_t)n) {
		l.rlim_cur = n;
		if (l.rlim_max < (rlim_t)n)
			l.rlim_max = n;
		if (setrlimit(RLIMIT_NOFILE, &l))
			die("needs %d open files: raise the limit (ulimit -n %d): %s", n, n, strerror(errno));
	}
}

static int quiet_fd;
static void poll_deadline(task *t) {
	for (i64 next = begin + t->period; !over(t, next);) {
		struct pollfd p = {.fd = quiet_fd, .events = POLLIN};
		for (i64 d; (d = next - now_ns()) > 0;) {
			struct timespec ts = to_ts(d);
			if (ppoll(&p, 1, &ts, NULL) == 0)
				break;
		}
		i64 now = now_ns();
		next += t->period * (i64)(1 + sample(t, now - next, now));
	}
	stopped = 1;
}

// The sockets beside it: one ordinary thread answers what comes to them, by
// epoll, another sends requests to one after the other.
enum { REQUESTS_PER_SECOND = 5000 };
static int answer_epoll, request_fd;
static struct sockaddr_in *answer_addrs;

static void answers(task *t) {
	struct epoll_event ev[64];
	while (!stopped)
		for (int n = epoll_wait(answer_epoll, ev, 64, 100); n > 0; n--) {
			char b[MESSAGE];
			struct sockaddr_in from;
			socklen_t len = sizeof from;
			int fd = ev[n - 1].data.fd;
			ssize_t k = recvfrom(fd, b, sizeof b, MSG_DONTWAIT, (void *)&from, &len);
			if (k > 0)
				sendto(fd, b, k, 0, (void *)&from, len);
		}
}

static void requests(task *t) {
	char b[MESSAGE] = {0};
	uint32_t x = 1;
	for (i64 sent = 0; !stopped;) {
		usleep(200);
		for (i64 due = (now_ns() - begin) * REQUESTS_PER_SECOND / 1000000000; sent < due && !stopped; sent++) {
			x = x * 1664525 + 1013904223;
			if (sendto(request_fd, b, sizeof b, 0, (void *)&answer_addrs[x % conns], sizeof *answer_addrs) < 0)
				die("request: %s", strerror(errno));
		}
		while (recv(request_fd, b, sizeof b, MSG_DONTWAIT) > 0)
			;
	}
}

static void open_answers(void) {
	struct sockaddr_in a;
	want_files(conns + 100);
	answer_addrs = xcalloc(conns, sizeof *answer_addrs);
	if ((answer_epoll = epoll_create1(EPOLL_CLOEXEC)) < 0)
		die("epoll_create1: %s", strerror(errno));
	for (int i = 0; i < conns; i++) {
		struct epoll_event ev = {.events = EPOLLIN};
		ev.data.fd = bound(SOCK_DGRAM, &answer_addrs[i]);
		if (epoll_ctl(answer_epoll, EPOLL_CTL_ADD, ev.data.fd, &ev))
			die("epoll_ctl: %s", strerror(errno));
	}
	request_fd = bound(SOCK_DGRAM, &a);
}

// Scenarios.

static void setup(void) {
	const char *s = scenario;
	struct sockaddr_in a;
	if (!period)
		period = strstr(s, "inversion") ? 10000000 : !strcmp(s, "sleep") ? 50000 : 1000000;
	int multi = !strcmp(s, "periodic") || !strcmp(s, "sleep");
	if (ntasks > 1 && !multi)
		die("scenario %s has one task", s);
	if (!strcmp(s, "periodic")) {
		for (int i = 0; i < ntasks; i++)
			add("periodic", spread ? below(i) : priority, period, periodic);
	} else if (!strcmp(s, "sleep")) {
		for (int i = 0; i < ntasks; i++)
			add("sleep", 0, period, relative_sleep)->unpaced = 1;
	} else if (!strcmp(s, "alloc-cycle")) {
		add("cycle", priority, period, alloc_cycle);
		add("allocation", priority, 0, NULL);
	} else if (!strcmp(s, "alloc-span")) {
		add("cycle", priority, period, alloc_span);
		add("allocation", priority, 0, NULL);
	} else if (!strncmp(s, "sem", 3) || !strncmp(s, "cond", 4) || !strncmp(s, "signal", 6)) {
		const char *how;
		if (s[0] == 'c') {
			lever.wait = cond_wait_set;
			lever.wake = cond_wake;
			how = s + 4;
		} else if (s[1] == 'i') {
			block_usr1();
			lever.wait = signal_wait;
			lever.wake = signal_wake;
			how = s + 6;
		} else {
			sem_init(&sem, 0, 0);
			lever.wait = sem_wait_all;
			lever.wake = sem_wake;
			how = s + 3;
		}
		if (!strcmp(how, "-to-ordinary")) {
			add("ordinary", 0, period, waiter);
			lever.cost = add("send", priority, 0, waker);
		} else {
			add("waiter", priority, period, waiter);
			measured = 1;
			if (!strcmp(how, "-rt"))
				add("waker", below(1), period, waker);
			else if (!strcmp(how, "-busy"))
				add("waker", 0, period, busy_waker);
			else if (!*how)
				add("waker", 0, period, waker);
			else
				die("no scenario %s", s);
		}
	} else if (!strcmp(s, "pingpong")) {
		sem_init(&ping_sem, 0, 0);
		sem_init(&pong_sem, 0, 0);
		add("ping", priority, 0, ping);
		measured = 1;
		add("pong", priority, 0, pong);
	} else if (!strcmp(s, "mutex") || !strcmp(s, "pimutex")) {
		init_lock(s[0] == 'p');
		add("lock", priority, period, lock_task);
		measured = 1;
		add("holder", 0, 0, lock_holder);
	} else if (!strcmp(s, "inversion-mutex") || !strcmp(s, "inversion-pimutex")) {
		init_lock(s[10] == 'p');
		add("high", priority, period, high);
		measured = 1;
		add("medium", below(10), 0, medium);
		add("low", below(20), 0, low);
	} else if (!strcmp(s, "udp")) {
		want_files(conns + 100);
		server_fd = bound(SOCK_DGRAM, &a);
		client_fds = xcalloc(conns + 2, sizeof(int));
		for (int i = 0; i < conns || i == 0; i++)
			client_fds[i] = connected(SOCK_DGRAM, &a);
		if (conns < 2)
			client_fds[1] = -1;
		add("server", priority, period, udp_server)->unpaced = 1;
		add("client", 0, period, client)->unpaced = 1;
	} else if (!strcmp(s, "tcp")) {
		want_files(2 * conns + 100);
		int ln = bound(SOCK_STREAM, &a);
		if (listen(ln, 16))
			die("listen: %s", strerror(errno));
		client_fds = xcalloc(2, sizeof(int));
		client_fds[0] = connected(SOCK_STREAM, &a);
		client_fds[1] = -1;
		server_fd = accept(ln, NULL, NULL);
		add("server", priority, period, tcp_server)->unpaced = 1;
		add("client", 0, period, client)->unpaced = 1;
		if (conns > 1) {
			measured = 2;
			nother = conns - 1;
			other_fds = xcalloc(nother, sizeof(int));
			other_servers = xcalloc(nother, sizeof(int));
			for (int i = 0; i < nother; i++) {
				other_fds[i] = connected(SOCK_STREAM, &a);
				other_servers[i] = accept(ln, NULL, NULL);
			}
			add("servers", 0, 0, other_server);
			add("clients", 0, 0, other_client);
		}
	} else if (!strcmp(s, "poll")) {
		if (!conns)
			conns = 10000;
		open_answers();
		quiet_fd = bound(SOCK_DGRAM, &a);
		add("deadline", priority, period, poll_deadline);
		measured = 1;
		add("answers", 0, 0, answers);
		add("requests", 0, 0, requests);
	} else {
		die("no scenario %s", s);
	}
	if (!measured)
		measured = total;
}

// Output.

static i64 quantile(task *t, double q) {
	u64 all = t->cycles + t->missed, n = 0, rank = ceil(q * all);
	if (!all)
		return 0;
	if (!rank)
		rank = 1;
	for (int i = 0; i < LOG_BUCKETS; i++)
		if ((n += t->log[i]) >= rank) {
			i64 from, to, max = t->max > 0 ? t->max : 0;
			log_bounds(i, &from, &to);
			return to - 1 < max ? to - 1 : max;
		}
	return t->max;
}

static void json_string(FILE *f, const char *s) {
	fputc('"', f);
	for (; *s; s++)
		if (*s == '"' || *s == '\\')
			fprintf(f, "\\%c", *s);
		else if ((unsigned char)*s < ' ')
			fprintf(f, "\\u%04x", *s);
		else
			fputc(*s, f);
	fputc('"', f);
}

static void json_time(FILE *f, time_t t) {
	char b[64];
	strftime(b, sizeof b, "\"%Y-%m-%dT%H:%M:%SZ\"", gmtime(&t));
	fputs(b, f);
}

static void write_result(int argc, char **argv, time_t started, i64 elapsed) {
	FILE *f = fopen(result, "w");
	struct utsname u;
	if (!f)
		die("%s: %s", result, strerror(errno));
	uname(&u);
	fprintf(f, "{\"version\":1,\"start\":");
	json_time(f, started);
	fprintf(f, ",\"end\":");
	json_time(f, time(NULL));
	fprintf(f, ",\n\"environments\":[{\"id\":\"host\",\"simulated\":false,\"arch\":\"%s\",\"cpus_online\":%ld,\"kernel\":\"%s\",\"realtime\":false,\"sched_rt_runtime_us\":0}],\n",
		sizeof(void *) == 8 && !strcmp(u.machine, "x86_64") ? "amd64" : !strcmp(u.machine, "aarch64") ? "arm64" : u.machine,
		sysconf(_SC_NPROCESSORS_ONLN), u.release);
	fprintf(f, "\"measurements\":[{\"id\":\"c/%s\",\"env\":\"host\",\"scenario\":\"%s\",\"group\":\"ctwin\",\"toolchain\":\"c\",\"program\":\"ctwin\",\"program_version\":\"gcc %s\",\"rt_supported\":true,\"command\":[",
		scenario, scenario, __VERSION__);
	for (int i = 0; i < argc; i++) {
		if (i)
			fputc(',', f);
		json_string(f, argv[i]);
	}
	fprintf(f, "],\n\"policy\":\"%s\",\"priority\":%d,\"period_ns\":%lld,\"mlockall\":%s,\"load\":null,\"start\":",
		policy == SCHED_FIFO ? "fifo" : policy == SCHED_RR ? "rr" : "other", priority, (long long)period, mlock_all ? "true" : "false");
	json_time(f, started);
	fprintf(f, ",\"duration_ns\":%lld,\"outcome\":\"%s\",\"threshold_ns\":%lld,\"validity\":\"uncontrolled\",\n\"threads\":[",
		(long long)elapsed, tripped >= 0 ? "threshold" : "ok", (long long)threshold);
	for (int i = 0; i < measured; i++) {
		task *t = tasks[i];
		const char *sep = "";
		fprintf(f, "%s{\"index\":%d,\"name\":\"%s\",\"tid\":%d,\"priority\":%d,\"period_ns\":%lld,\"cpu\":-1,\"cycles\":%llu,\"missed\":%llu,\"early\":%llu,"
			"\"min_ns\":%lld,\"avg_ns\":%lld,\"max_ns\":%lld,\"p50_ns\":%lld,\"p99_ns\":%lld,\"p99.9_ns\":%lld,\"p99.99_ns\":%lld,"
			"\"worst_at_ns\":%lld,\"worst_cycle\":%llu,\n\"linear\":{\"limit_us\":%d,\"overflow\":%llu,\"counts\":{",
			i ? ",\n" : "", i, t->name, t->tid, t->prio, (long long)t->period, (unsigned long long)t->cycles, (unsigned long long)t->missed,
			(unsigned long long)t->early, (long long)t->min, (long long)(t->cycles ? t->sum / (i64)t->cycles : 0), (long long)t->max,
			(long long)quantile(t, .5), (long long)quantile(t, .99), (long long)quantile(t, .999), (long long)quantile(t, .9999),
			(long long)t->worst_at, (unsigned long long)t->worst_cycle, limit, (unsigned long long)t->overflow);
		for (int us = 0; us < limit; us++)
			if (t->linear[us])
				fprintf(f, "%s\"%d\":%llu", sep, us, (unsigned long long)t->linear[us]), sep = ",";
		fprintf(f, "}},\n\"log\":[");
		sep = "";
		for (int k = 0; k < LOG_BUCKETS; k++)
			if (t->log[k]) {
				i64 from, to;
				log_bounds(k, &from, &to);
				fprintf(f, "%s{\"from\":%lld,\"to\":%lld,\"n\":%llu}", sep, (long long)from, (long long)to, (unsigned long long)t->log[k]), sep = ",";
			}
		fprintf(f, "]}");
	}
	fprintf(f, "]}]}\n");
	if (ferror(f) | fclose(f))
		die("%s: cannot write", result);
}

static void on_signal(int sig) { stopped = 1; }

static i64 seconds(const char *s) {
	char *e;
	double d = strtod(s, &e);
	if (e == s || d < 0)
		die("%s is not a time such as 10 or 500ms", s);
	if (!strcmp(e, "ms"))
		d /= 1000;
	else if (!strcmp(e, "m"))
		d *= 60;
	else if (!strcmp(e, "h"))
		d *= 3600;
	else if (*e && strcmp(e, "s"))
		die("%s is not a time such as 10 or 500ms", s);
	return (i64)(d * 1e9);
}

// bar_idle_states keeps CPUs from sleeping as long as this process runs, as
// cyclictest and rtlatency do: a CPU that sleeps takes long to wake.
static void bar_idle_states(void) {
	const char *file = "/dev/cpu_dma_latency";
	int32_t us = 0;
	int fd = open(file, O_WRONLY | O_CLOEXEC); // the kernel keeps the value as long as it is open
	if (fd < 0 || write(fd, &us, sizeof us) != sizeof us)
		fprintf(stderr, "WARN: %s: %s\n", file, strerror(errno));
}

int main(int argc, char **argv) {
	static struct option longs[] = {
		{"scenario", 1, 0, 1}, {"result", 1, 0, 2}, {"conns", 1, 0, 3}, {"policy", 1, 0, 4}, {"priority", 1, 0, 'p'},
		{"interval", 1, 0, 'i'}, {"loops", 1, 0, 'l'}, {"duration", 1, 0, 'D'}, {"threads", 1, 0, 't'}, {"mlockall", 0, 0, 'm'},
		{"quiet", 0, 0, 'q'}, {"breaktrace", 1, 0, 'b'}, {"histogram", 1, 0, 'h'}, {"help", 0, 0, 5}, {"priospread", 0, 0, 6},
		{"split", 1, 0, 7}, {0}};
	int explicit_policy = 0;
	for (int c; (c = getopt_long(argc, argv, "p:i:l:D:t:mqb:h:", longs, NULL)) != -1;)
		switch (c) {
		case 'p': priority = atoi(optarg); break;
		case 'i': period = atoll(optarg) * 1000; break;
		case 'l': loops = strtoull(optarg, NULL, 10); break;
		case 'D': duration = seconds(optarg); break;
		case 't': ntasks = atoi(optarg); break;
		case 'm': mlock_all = 1; break;
		case 'q': quiet = 1; break;
		case 'b': threshold = atoll(optarg) * 1000; break;
		case 'h': limit = atoi(optarg); break;
		case 1: scenario = optarg; break;
		case 2: result = optarg; break;
		case 3: conns = atoi(optarg); break;
		case 4:
			explicit_policy = 1;
			policy = !strcmp(optarg, "fifo") ? SCHED_FIFO : !strcmp(optarg, "rr") ? SCHED_RR : SCHED_OTHER;
			break;
		case 6: spread = 1; break;
		case 7: split = atoi(optarg); break;
		case 5:
			printf("usage: ctwin [-p PRIO] [-i USEC] [-D TIME] [-l LOOPS] [-t NUM] [-m] [-b USEC] [-h USEC]\n"
			       "             [--scenario NAME] [--policy fifo|rr|other] [--priospread] [--conns N] [--result FILE]\n"
			       "             [--split CPU]   the real-time tasks alone on CPU, everything else on the others\n"
			       "scenarios: periodic sleep alloc-cycle alloc-span sem sem-rt sem-busy sem-to-ordinary cond cond-rt signal signal-rt\n"
			       "           pingpong mutex pimutex inversion-mutex inversion-pimutex udp tcp poll\n"
			       "exit codes: 0 measured, 1 error, 2 a latency exceeded -b\n"
			       "example: ctwin -m -p80 -D10 --scenario sem --result sem.json\n");
			return 0;
		default: return 1;
		}
	if (optind < argc)
		die("unexpected argument %s", argv[optind]);
	if (priority < 0 || priority > 99 || period < 0 || limit < 1 || limit > 1000000 || ntasks < 1 || ntasks > 60 || conns < 0)
		die("a number is out of range; --help shows the flags");
	if (priority && !explicit_policy)
		policy = SCHED_FIFO;
	if (policy == SCHED_OTHER)
		priority = 0;
	// The kernel ends the program if a thread computes for 10 s without
	// blocking, as rtlatency's watchdog does.
	struct rlimit rt = {10000000, 10000000};
	if (priority)
		setrlimit(RLIMIT_RTTIME, &rt);
	if (mlock_all && mlockall(MCL_CURRENT | MCL_FUTURE))
		die("-m: mlockall: %s: needs CAP_IPC_LOCK or a higher RLIMIT_MEMLOCK (ulimit -l unlimited)", strerror(errno));
	bar_idle_states();
	struct sigaction sa = {.sa_handler = on_signal};
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	if (split >= 0) { // the threads to come inherit it
		cpu_set_t others;
		sched_getaffinity(0, sizeof others, &others);
		if (split >= CPU_SETSIZE || !CPU_ISSET(split, &others) || CPU_COUNT(&others) < 2)
			die("--split: CPU %d is not one of at least two that this process may use", split);
		CPU_CLR(split, &others);
		sched_setaffinity(0, sizeof others, &others);
	}
	setup();
	pthread_barrier_init(&ready, NULL, total + 1);
	pthread_barrier_init(&gate, NULL, total + 1);
	time_t started = time(NULL);
	for (int i = 0; i < total; i++)
		if (pthread_create(&tasks[i]->thread, NULL, run_task, tasks[i]))
			die("pthread_create: %s", strerror(errno));
	pthread_barrier_wait(&ready);
	begin = now_ns();
	if (duration)
		end = begin + duration;
	pthread_barrier_wait(&gate);
	for (int i = 0; i < total; i++)
		pthread_join(tasks[i]->thread, NULL);
	i64 elapsed = now_ns() - begin;
	for (int i = 0; i < measured; i++) {
		task *t = tasks[i];
		printf("T:%2d (%5d) P:%2d I:%lld C:%7llu Min:%7lld Act:%5lld Avg:%5lld Max:%8lld\n", i, t->tid, t->prio, (long long)t->period / 1000,
			(unsigned long long)t->cycles, (long long)t->min / 1000, (long long)t->act / 1000,
			(long long)(t->cycles ? t->sum / (i64)t->cycles / 1000 : 0), (long long)t->max / 1000);
	}
	if (result)
		write_result(argc, argv, started, elapsed);
	return tripped >= 0 ? 2 : 0;
}
