#!/usr/bin/perl
# Holds memory of one kind, named by the argument, and looks after it: again and again it checks that every page is what
# it last wrote, and writes some anew. GET / on PORT tells how often, and everything that was not as it should be.
use strict;
use warnings;
use Errno qw(EFAULT);
use POSIX ();
use Socket;

use constant {
    PAGE => 4096, READ_WRITE => 3, NO_ACCESS => 0, SHARED => 0x01, PRIVATE => 0x02, ANONYMOUS => 0x20,
    HUGETLB => 0x40000, NO_RESERVE => 0x4000, MAY_MOVE => 1,
    DONT_NEED => 4, DONT_FORK => 10, HUGE_PAGE => 14, WIPE_ON_FORK => 18, PAGE_OUT => 21, GUARD => 102,
};
my %NUMBERS = (
    x86_64  => { read => 0,  mmap => 9,   mprotect => 10,  munmap => 11,  mremap => 25,  madvise => 28,  memfd => 319 },
    aarch64 => { read => 63, mmap => 222, mprotect => 226, munmap => 215, mremap => 216, madvise => 233, memfd => 279 },
);
my $call = $NUMBERS{ (POSIX::uname())[4] } or die 'system calls of this machine are not known';

my $kind = $ARGV[0] // '';
my @damage;
my %told = (kind => $kind, cycles => 0, childCycles => 0);

# ── memory by address ─────────────────────────────────────────────────────────────────────────────────────────────────

sub map_pages {
    my ($pages, $flags, $fd) = @_;
    my $address = syscall($call->{mmap}, 0, $pages * PAGE, READ_WRITE, $flags, $fd // -1, 0);
    die "mmap: $!" if $address == -1;
    return $address;
}

sub advise { my ($address, $pages, $advice) = @_; return syscall($call->{madvise}, $address, $pages * PAGE, $advice) == 0 }
sub protect { my ($address, $pages, $how) = @_; syscall($call->{mprotect}, $address, $pages * PAGE, $how) == 0 or die "mprotect: $!" }
sub peek { my ($address, $size) = @_; return unpack("P$size", pack('J', $address)) }

# The kernel writes: to an address that must not be touched this is an error rather than the end.
my ($from, $to);
sub own_pipe { pipe($from, $to) or die "pipe: $!" }
own_pipe();
sub poke {
    my ($address, $bytes) = @_;
    syswrite($to, $bytes) == length $bytes or die "pipe: $!";
    my $written = syscall($call->{read}, fileno($from), $address + 0, length $bytes);
    return 1 if $written == length $bytes;
    my $why = $! + 0;
    sysread($from, my $rest, length $bytes);
    $! = $why;
    return 0;
}

# ── regions that know what is in them ─────────────────────────────────────────────────────────────────────────────────

sub pattern { my ($name, $page, $generation) = @_; return pack('a8Q<Q<Q<', $name, $page, $generation, ~$page) x (PAGE / 32) }
sub short { return join ' ', map { sprintf '%016x', $_ } unpack('Q<4', $_[0]) }
sub wrong { push @damage, $_[0] if @damage < 20 }

my $generation = 0;

sub region {
    my ($name, $pages, $address) = @_;
    my $region = { name => $name, pages => $pages, address => $address, written => [(undef) x $pages] };
    return $region;
}

sub write_page {
    my ($region, $page) = @_;
    $region->{written}[$page] = ++$generation;
    poke($region->{address} + $page * PAGE, pattern($region->{name}, $page, $generation)) or die "write: $!";
}

sub fill { my ($region) = @_; write_page($region, $_) for 0 .. $region->{pages} - 1; return $region }

# Pages that were never written hold `blank`: zeros, unless a file's content is there.
sub check {
    my ($region, $blank) = @_;
    for my $page (0 .. $region->{pages} - 1) {
        my $is = peek($region->{address} + $page * PAGE, PAGE);
        my $written = $region->{written}[$page];
        my $must = defined $written ? pattern($region->{name}, $page, $written)
            : $blank ? $blank->($page) : "\0" x PAGE;
        next if $is eq $must;
        wrong(sprintf '%s: page %d of %s (%x) is %s and was %s', $$, $page, $region->{name},
            $region->{address} + $page * PAGE, short($is), short($must));
    }
}

sub some { my ($region) = @_; return int rand $region->{pages} }
sub rewrite { my ($region, $times) = @_; write_page($region, some($region)) for 1 .. $times }
sub private { my ($name, $pages) = @_; return region($name, $pages, map_pages($pages, PRIVATE | ANONYMOUS)) }

sub status_kib {
    my ($file, $field) = @_;
    open my $status, '<', $file or return 0;
    my $sum = 0;
    while (<$status>) { $sum += $1 if /^$field:\s+(\d+) kB/ }
    return $sum;
}

# ── children: they tell by a pipe what they found, and that they are at it ────────────────────────────────────────────

pipe(my $news, my $teller) or die $!;
{ my $flags = fcntl($news, 3, 0); fcntl($news, 4, $flags | POSIX::O_NONBLOCK()) or die $!; }

sub child {
    my ($work) = @_;
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    own_pipe(); # What one process writes is not for another to read.
    @damage = ();
    srand $$;
    $work->(sub { syswrite $teller, @damage ? "damage $damage[0]\n" : "well\n"; @damage = () });
    POSIX::_exit(0);
}

sub lasting {
    my ($work) = @_;
    return child(sub { my ($tell) = @_; while (1) { $work->(); $tell->(); select undef, undef, undef, 0.03 } });
}

my $unread = '';
sub hear {
    while (sysread $news, my $bytes, 65_536) { $unread .= $bytes }
    while ($unread =~ s/^(.*)\n//) {
        my $line = $1;
        if ($line eq 'well') { $told{childCycles}++ } else { wrong("a child says: $line") }
    }
}

# ── the kinds: each returns what is done in every cycle ───────────────────────────────────────────────────────────────

my %KINDS = (
    writer => sub {
        my $all = fill(private('writer', 4096));
        my $next = 0;
        return sub { check($all); for (1 .. 512) { write_page($all, $next); $next = ($next + 1) % $all->{pages} } };
    },
    shared => sub {
        my $address = map_pages(96, SHARED | ANONYMOUS);
        my @parts = map { region("part $_", 32, $address + $_ * 32 * PAGE) } 0 .. 2;
        # A neighbour's page is what it last wrote: its generation only grows, and goes on growing after a move.
        my %heard;
        my $round = sub {
            my ($own) = @_;
            check($parts[$own]);
            rewrite($parts[$own], 8);
            write_page($parts[$own], 0);
            for my $other (grep { $_ != $own } 0 .. 2) {
                my ($name, undef, $now) = unpack 'Z8Q<Q<', peek($parts[$other]{address}, 32);
                wrong("part $other is $name") if $name ne "part $other";
                wrong("part $other went back from $heard{$other} to $now") if $now < ($heard{$other} // 0);
                $heard{$other} = $now;
            }
            $told{heard} = ($heard{1} // 0) + ($heard{2} // 0);
        };
        fill($_) for @parts;
        for my $own (1, 2) { lasting(sub { $round->($own) }) }
        return sub { $round->(0) };
    },
    memfd => sub {
        my $name = 'kept';
        my $fd = syscall($call->{memfd}, $name, 0);
        open my $file, '+<&=', $fd or die "memfd: $!";
        truncate $file, 64 * PAGE;
        my $mapped = fill(region('memfd', 64, map_pages(64, SHARED, $fd)));
        my $hole = region('hole', 64, map_pages(64, PRIVATE, $fd));
        write_page($hole, $_) for 32 .. 63;
        return sub {
            check($mapped);
            # Through the descriptor as well: it is one memory.
            my $page = some($mapped);
            sysseek $file, $page * PAGE, 0;
            sysread $file, my $is, PAGE;
            wrong("page $page by its descriptor") if $is ne pattern('memfd', $page, $mapped->{written}[$page]);
            check($hole, sub { pattern('memfd', $_[0], $mapped->{written}[$_[0]]) });
            rewrite($mapped, 8);
            write_page($hole, 32 + int rand 32);
        };
    },
    shm => sub {
        sysopen my $file, '/dev/shm/kept', POSIX::O_RDWR() | POSIX::O_CREAT() or die "shm: $!";
        truncate $file, 64 * PAGE;
        my $mapped = fill(region('shm', 64, map_pages(64, SHARED, fileno $file)));
        sysopen my $gone, '/dev/shm/gone', POSIX::O_RDWR() | POSIX::O_CREAT() or die "shm: $!";
        truncate $gone, 64 * PAGE;
        my $unlinked = fill(region('unlinked', 64, map_pages(64, SHARED, fileno $gone)));
        unlink '/dev/shm/gone';
        lasting(sub { check($unlinked) });
        return sub { check($_), for $mapped, $unlinked; rewrite($mapped, 8) };
    },
    file => sub {
        my $path = '/usr/bin/perl';
        my $pages = int((-s $path) / PAGE);
        open my $file, '<:raw', $path or die "$path: $!";
        my $mapped = region('file', $pages, map_pages($pages, PRIVATE, fileno $file));
        write_page($mapped, $_) for grep { $_ % 3 == 0 } 0 .. $pages - 1;
        my $blank = sub { sysseek $file, $_[0] * PAGE, 0; sysread $file, my $is, PAGE; return $is };
        # A page of zeros is a written one too.
        my $zero = region('zero', 8, map_pages(8, PRIVATE, fileno $file));
        for (0 .. 7) { poke($zero->{address} + $_ * PAGE, "\0" x PAGE) }
        return sub { check($mapped, $blank); check($zero); write_page($mapped, 3 * int rand $pages / 3) };
    },
    huge => sub {
        my $large = 2048 * 1024;
        my $address = map_pages(6 * 512, PRIVATE | ANONYMOUS);
        $address += $large - $address % $large;
        advise($address, 4 * 512, HUGE_PAGE) or $told{note} = 'no transparent huge pages';
        my $all = fill(region('huge', 4 * 512, $address));
        for my $page (5, 77, 700 .. 710) { advise($address + $page * PAGE, 1, DONT_NEED); $all->{written}[$page] = undef }
        return sub { check($all); $told{hugeKib} = status_kib('/proc/self/smaps', 'AnonHugePages'); write_page($all, 1024 + int rand 512) };
    },
    guard => sub {
        my $around = fill(private('guard', 48));
        my $middle = $around->{address} + 16 * PAGE;
        my $guarded = map_pages(16, PRIVATE | ANONYMOUS);
        my $has_guards = advise($guarded, 16, GUARD);
        $told{note} = 'no guard regions in this kernel' if !$has_guards;
        my $refuses = sub { my ($address, $what) = @_; wrong("$what can be written to") if poke($address, 'x') || $! != EFAULT };
        protect($middle, 16, NO_ACCESS);
        return sub {
            $refuses->($middle, 'PROT_NONE');
            $refuses->($guarded + 3 * PAGE, 'a guard page') if $has_guards;
            protect($middle, 16, READ_WRITE);
            check($around);
            rewrite($around, 8);
            protect($middle, 16, NO_ACCESS);
        };
    },
    unforked => sub {
        my $wiped = fill(private('wiped', 32));
        my $kept_from = fill(private('dontfork', 32));
        advise($wiped->{address}, 32, WIPE_ON_FORK) or die "madvise: $!";
        advise($kept_from->{address}, 32, DONT_FORK) or die "madvise: $!";
        return sub { check($_), rewrite($_, 4) for $wiped, $kept_from };
    },
    swapped => sub {
        my $all = fill(private('swapped', 2048));
        return sub {
            # Looked at now and then only: a page that is read is in memory again.
            if ($told{cycles} % 50 == 0) { check($all); rewrite($all, 16) }
            advise($all->{address}, $all->{pages}, PAGE_OUT);
            $told{swapKib} = status_kib('/proc/self/status', 'VmSwap');
        };
    },
    forks => sub {
        my $all = fill(private('forks', 256));
        my %children;
        return sub {
            while (keys %children < 3) {
                my $pid = child(sub {
                    my ($tell) = @_;
                    for (1 .. 3) { check($all); rewrite($all, 64); select undef, undef, undef, 0.02 }
                    check($all);
                    $tell->();
                });
                $children{$pid} = 1;
            }
            while ((my $pid = waitpid -1, POSIX::WNOHANG()) > 0) { delete $children{$pid} }
            check($all);
            rewrite($all, 16);
        };
    },
    dies => sub {
        my $victim;
        return sub {
            if (defined $victim) { kill 'KILL', $victim; waitpid $victim, 0 }
            $victim = lasting(sub { our $own //= fill(private('victim', 512)); check($own); rewrite($own, 16) });
            select undef, undef, undef, 0.08;
        };
    },
    remaps => sub {
        my @regions = map { fill(private("r$_", 32)) } 0 .. 15;
        return sub {
            check($_) for @regions;
            my $region = $regions[int rand @regions];
            if (rand() < 0.5) {
                syscall($call->{munmap}, $region->{address}, $region->{pages} * PAGE) == 0 or die "munmap: $!";
                @$region{qw(pages written)} = (16, [(undef) x 16]);
                $region->{address} = map_pages(16, PRIVATE | ANONYMOUS);
                return fill($region);
            }
            my $was = $region->{pages};
            my $is = 8 + int rand 56;
            my $moved = syscall($call->{mremap}, $region->{address}, $was * PAGE, $is * PAGE, MAY_MOVE);
            die "mremap: $!" if $moved == -1;
            @$region{qw(address pages)} = ($moved, $is);
            $#{ $region->{written} } = $is - 1;
            write_page($region, $_) for $was .. $is - 1;
        };
    },
    many => sub {
        my $all = fill(private('many', 256));
        for (1 .. 8) { lasting(sub { check($all); rewrite($all, 32) }) }
        return sub { check($all); rewrite($all, 32) };
    },
    hugetlb => sub {
        # Not reserved, and never touched: the mapping alone takes no page that the machine may not have.
        map_pages(512, PRIVATE | ANONYMOUS | HUGETLB | NO_RESERVE);
        return sub { };
    },
);

# ── the cycle, and whoever asks ───────────────────────────────────────────────────────────────────────────────────────

sub json {
    my ($value) = @_;
    return '[' . join(',', map { json($_) } @$value) . ']' if ref $value eq 'ARRAY';
    return '{' . join(',', map { json($_) . ':' . json($value->{$_}) } sort keys %$value) . '}' if ref $value eq 'HASH';
    return $value if $value =~ /^\d+$/;
    return '"' . $value =~ s/[^ !#-\[\]-~]/?/gr . '"';
}

my $cycle = ($KINDS{$kind} // die "no such kind: $kind")->();
socket my $listener, PF_INET, SOCK_STREAM, 0 or die $!;
setsockopt $listener, SOL_SOCKET, SO_REUSEADDR, 1;
bind $listener, sockaddr_in($ENV{PORT}, INADDR_ANY) or die "bind: $!";
listen $listener, 64 or die $!;
$SIG{PIPE} = 'IGNORE';

while (1) {
    $cycle->();
    $told{cycles}++;
    hear();
    my $ready = '';
    vec($ready, fileno $listener, 1) = 1;
    next if select($ready, undef, undef, 0.005) <= 0;
    accept my $client, $listener or next;
    sysread $client, my $request, 8192;
    my $body = json({ %told, damage => \@damage });
    syswrite $client, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " . length($body)
        . "\r\nConnection: close\r\n\r\n$body";
    close $client;
}
