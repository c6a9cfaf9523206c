#!/usr/bin/perl
# A cable with a delay: what comes in at the first tap device goes out at the second after so many milliseconds,
# what comes in at the second goes out at the first at once. Arguments: IN OUT DELAY_MS.
#
# Perl, because opening a tap device takes an ioctl, which Node cannot do; and mmdebstrap has brought Perl along.
# Frames carry a virtio header, so that the kernel hands over packets of up to 64 KiB which it has not yet cut up:
# a gigabit is then some two thousand frames a second.
use strict;
use warnings;
use Errno qw(EAGAIN EINTR);
use Fcntl qw(O_RDWR O_NONBLOCK);
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

use constant {
  TUNSETIFF     => 0x400454ca,
  TUNSETOFFLOAD => 0x400454d0,
  TAP_FLAGS     => 0x0002 | 0x1000 | 0x4000,    # IFF_TAP, IFF_NO_PI, IFF_VNET_HDR
  OFFLOADS      => 0x01 | 0x02 | 0x04 | 0x08,   # checksum, TSO over IPv4, over IPv6, with ECN
  FRAME_BYTES   => 70_000,
  QUEUE_BYTES   => 64 * 1024 * 1024,            # A full queue drops, as a full switch does.
  BATCH         => 64,
};

my ($in_name, $out_name, $delay_ms) = @ARGV;
my ($in, $out) = (open_tap($in_name), open_tap($out_name));
my ($readable, $queued_bytes, @queue) = ('', 0);
vec($readable, fileno($_), 1) = 1 for $in, $out;

$| = 1;
print "ready\n";
open STDOUT, '>', '/dev/null';
open STDERR, '>', '/dev/null';

while (1) {
  my $wait_s = @queue ? $queue[0][0] - now() : undef;
  $wait_s = 0 if defined $wait_s && $wait_s < 0;
  my $count = select(my $ready = $readable, undef, undef, $wait_s);
  if ($count > 0) {
    take($in, \&hold) if vec($ready, fileno($in), 1);
    take($out, sub { syswrite $in, $_[0] }) if vec($ready, fileno($out), 1);
  }
  my $now = now();
  while (@queue && $queue[0][0] <= $now) {
    my $frame = (shift @queue)->[1];
    $queued_bytes -= length $frame;
    syswrite $out, $frame;
  }
}

sub now { return clock_gettime(CLOCK_MONOTONIC) }

sub hold {
  my $frame = shift;
  return if $queued_bytes + length($frame) > QUEUE_BYTES;
  $queued_bytes += length $frame;
  push @queue, [now() + $delay_ms / 1000, $frame];
  return;
}

# Give the frames that are there to $give, a batch of them at most: the other direction has its turn, too.
sub take {
  my ($tap, $give) = @_;
  for (1 .. BATCH) {
    my $bytes = sysread $tap, my $frame, FRAME_BYTES;
    if (!defined $bytes) {
      return if $! == EAGAIN || $! == EINTR;
      die "relay: $!\n";
    }
    $give->($frame);
  }
  return;
}

sub open_tap {
  my $name = shift;
  sysopen my $tap, '/dev/net/tun', O_RDWR | O_NONBLOCK or die "/dev/net/tun: $!\n";
  ioctl $tap, TUNSETIFF, pack('a16 S x22', $name, TAP_FLAGS) or die "$name: $!\n";
  ioctl $tap, TUNSETOFFLOAD, OFFLOADS or die "$name: offloads: $!\n";
  return $tap;
}
