# DBD::Pg: server-side and client-side prepare, parameters, metadata helpers, COPY, asynchronous queries, NOTIFY.
use strict;
use warnings;
use DBI;
use DBD::Pg qw(:async :pg_types);
use JSON::PP;

my $json = JSON::PP->new->canonical->allow_nonref->utf8;
my $masked = 'SELECT id, email, ssn, phone, birth_date, balance, preferences, tags, signature'
    . ' FROM shop.customers WHERE id <= ';
$| = 1;

sub tell_line {
    my ($what, %found) = @_;
    print $json->encode({what => $what, %found}), "\n";
}

sub connected {
    my (%options) = @_;
    # pg_expand_array: arrays stay the text that the server sent.
    my %always = (AutoCommit => 1, RaiseError => 1, PrintError => 0, pg_expand_array => 0);
    return DBI->connect('dbi:Pg:', '', '', {%always, %options});
}

sub seen {
    my ($db) = @_;
    my @fields = map { $db->pg_error_field($_) } qw(severity_nonlocal state message_primary message_detail
        message_hint statement_position table_name constraint_name source_function);
    return (error => [$db->state, $db->errstr, @fields]);
}

sub try_line {
    my ($db, $what, $work) = @_;
    my %found = eval { $work->() };
    tell_line($what, $@ ? seen($db) : %found);
}

sub refused {
    my ($db, $what, $work) = @_;
    my $went = eval { $work->(); 1 };
    tell_line($what, sqlstate => $went ? 'none' : $db->state);
}

sub asked {
    my ($statement, @values) = @_;
    my $count = $statement->execute(@values);
    return (count => $count) unless $statement->{NUM_OF_FIELDS};
    my %of = map { $_ => $statement->{$_} } qw(NAME TYPE PRECISION SCALE NULLABLE pg_type);
    return (count => $count, columns => \%of, rows => $statement->fetchall_arrayref);
}

my %ways = (
    'server prepare' => {pg_server_prepare => 1, pg_switch_prepared => 1},
    'client prepare' => {pg_server_prepare => 0},
    'switching' => {},
);
my $few = 'SELECT id, name, birth_date, balance, tags FROM shop.customers WHERE id BETWEEN ? AND ? ORDER BY id';

sub same {
    open(my $file, '<:encoding(UTF-8)', $ENV{SAME_SQL}) or die;
    chomp(my @statements = <$file>);
    for my $way (sort keys %ways) {
        my $db = connected(%{$ways{$way}});
        for my $sql (@statements) {
            # Colons and question marks in the statements are no placeholders.
            try_line($db, "$way: $sql", sub { asked($db->prepare($sql, {pg_placeholder_dollaronly => 1})) });
        }
        my $statement = $db->prepare($few);
        try_line($db, "$way again", sub { asked($statement, $_, $_ + 3) }) for 1 .. 4;
        try_line($db, "$way a wrong parameter", sub { asked($db->prepare('SELECT ?::int'), 'five') });
        typed($db, $way);
        $db->disconnect;
    }
    my $db = connected();
    transactions($db);
    copies($db);
    asynchronous($db);
    notifications($db);
    metadata($db);
    $db->disconnect;
}

sub typed {
    my ($db, $way) = @_;
    my $statement = $db->prepare('SELECT ?::bytea, ?::int, ?::text[], ?::bool, ?::numeric');
    $statement->bind_param(1, "\0\1\xff", {pg_type => PG_BYTEA});
    $statement->bind_param(2, 7, {pg_type => PG_INT4});
    $statement->bind_param(3, ['a', 'b c']);
    $statement->bind_param(4, 't', {pg_type => PG_BOOL});
    $statement->bind_param(5, '1.50');
    try_line($db, "$way types", sub { asked($statement) });
}

sub transactions {
    my ($db) = @_;
    $db->begin_work;
    my $update = 'UPDATE shop.orders SET note = ? WHERE id < 4 RETURNING id, note';
    try_line($db, 'changed', sub { asked($db->prepare($update), 'x') });
    $db->pg_savepoint('a');
    try_line($db, 'failing', sub { asked($db->prepare('SELECT 1/0')) });
    try_line($db, 'after it', sub { asked($db->prepare('SELECT 1')) });
    tell_line('pinged', found => $db->ping);
    $db->pg_rollback_to('a');
    try_line($db, 'after the savepoint', sub { asked($db->prepare('SELECT note FROM shop.orders WHERE id = 1')) });
    $db->rollback;
    $db->do('CREATE TEMP TABLE keyed (id serial PRIMARY KEY, b text)');
    $db->do('INSERT INTO keyed (b) VALUES (?)', undef, $_) for qw(a b c);
    tell_line('last insert id', found => $db->last_insert_id(undef, undef, 'keyed', undef));
    my $counts = [];
    $db->prepare('INSERT INTO keyed (b) VALUES (?)')->execute_array({ArrayTupleStatus => $counts}, ['d', 'e', 'f']);
    tell_line('array', counts => $counts);
}

sub copies {
    my ($db) = @_;
    $db->do('CREATE TEMP TABLE copied (a int, b text)');
    $db->do('COPY copied FROM STDIN');
    $db->pg_putcopydata("$_\trow $_\n") for 0 .. 2999;
    $db->pg_putcopyend;
    try_line($db, 'copied in', sub { asked($db->prepare('SELECT count(*), sum(a) FROM copied')) });
    $db->do('COPY copied FROM STDIN');
    $db->pg_putcopydata("x\ty\n");
    try_line($db, 'a bad copy', sub { $db->pg_putcopyend; () });
    tell_line('copied out', lines => copied_out($db, 'COPY (SELECT * FROM copied WHERE a < 5) TO STDOUT'));
}

sub copied_out {
    my ($db, $sql) = @_;
    $db->do($sql);
    my ($line, @lines) = ('');
    push @lines, $line while $db->pg_getcopydata(\$line) >= 0;
    return \@lines;
}

sub asynchronous {
    my ($db) = @_;
    my $slow = $db->prepare('SELECT pg_sleep(0.2), 7 AS n', {pg_async => PG_ASYNC});
    $slow->execute;
    my $was_ready = $db->pg_ready;
    tell_line('asynchronous', ready => $was_ready, count => $db->pg_result, row => $slow->fetchrow_arrayref);
    $slow->finish;
    $db->do('SELECT pg_sleep(60)', {pg_async => PG_ASYNC});
    select undef, undef, undef, 0.3;
    my $went = eval { $db->pg_cancel };
    tell_line('cancelled', went => $went, state => $db->state);
    try_line($db, 'after the cancel', sub { asked($db->prepare('SELECT 1')) });
}

sub notifications {
    my ($db) = @_;
    $db->do('LISTEN news');
    $db->do(q(SELECT pg_notify('news', 'told')));
    my $told = $db->pg_notifies;
    tell_line('notified', found => [$told->[0], $told->[2]]);
    $db->do('UNLISTEN *');
}

sub metadata {
    my ($db) = @_;
    my %asked = (
        table_info => [undef, 'shop', '%', 'TABLE,VIEW'], column_info => [undef, 'shop', '%', '%'],
        primary_key_info => [undef, 'shop', 'customers'], statistics_info => [undef, 'shop', 'customers', 0, 0],
        foreign_key_info => [undef, 'shop', 'customers', undef, 'shop', 'orders'],
    );
    for my $question (sort keys %asked) {
        my $rows = $db->$question(@{$asked{$question}})->fetchall_arrayref;
        # These columns are the database, which bears another name to the clients of pgwarden.
        for my $row (@$rows) { @{$row}[$question eq 'foreign_key_info' ? (0, 4) : 0] = () }
        tell_line($question, rows => $rows);
    }
    tell_line('tables', found => [$db->tables(undef, 'shop', '%', '')]);
    tell_line('primary_key', found => [$db->primary_key(undef, 'shop', 'order_items')]);
    tell_line('type_info', found => [map { $_->{TYPE_NAME} } $db->type_info]);
    tell_line('get_info', found => [map { $db->get_info($_) } 17, 29, 25]);
}

sub truth {
    return $_[0] ? JSON::PP::true : JSON::PP::false;
}

sub customers {
    my ($what, $statement, @values) = @_;
    $statement->execute(@values);
    tell_line($what, customers => $statement->fetchall_arrayref);
}

sub analyst {
    for my $way (sort keys %ways) {
        my $db = connected(%{$ways{$way}});
        customers("$way: text", $db->prepare("$masked 20 ORDER BY id"));
        my $statement = $db->prepare("$masked ? ORDER BY id");
        customers("$way: parameters", $statement, 20) for 1 .. 3;
        refusals($db);
        customers("$way: after refusals", $db->prepare("$masked 20 ORDER BY id"));
        $db->disconnect;
    }
    my $db = connected();
    my $slow = $db->prepare("$masked 20 ORDER BY id", {pg_async => PG_ASYNC});
    $slow->execute;
    $db->pg_result;
    tell_line('asynchronous', customers => $slow->fetchall_arrayref);
    $slow->finish;
    my @tables = $db->tables(undef, 'shop', '%', '');
    tell_line('tables', ok => truth(grep(/customers/, @tables) && !grep(/salaries/, @tables)));
    $db->do('SELECT count(*) FROM shop.orders AS a, shop.orders AS b, shop.orders AS c', {pg_async => PG_ASYNC});
    select undef, undef, undef, 0.3;
    tell_line('cancelled', ok => truth(eval { $db->pg_cancel } && $db->state eq '57014'));
    my $columns = $db->column_info(undef, 'shop', 'payments', '%')->fetchall_hashref('COLUMN_NAME');
    tell_line('columns', ok => truth($columns->{amount} && !$columns->{card_number}));
    my $views = $db->table_info(undef, 'shop', '%', 'VIEW')->fetchall_hashref('TABLE_NAME');
    tell_line('views', ok => truth($views->{customer_totals} && !$views->{customers}));
    my @key = $db->primary_key(undef, 'shop', 'customers');
    tell_line('primary_key', ok => truth("@key" eq 'id'));
    $db->disconnect;
}

sub refusals {
    my ($db) = @_;
    refused($db, 'blocked: text', sub { $db->selectall_arrayref('SELECT * FROM shop.salaries') });
    my $rich = 'SELECT * FROM shop.salaries WHERE amount > ?';
    refused($db, 'blocked: parameters', sub { $db->selectall_arrayref($rich, undef, 1) });
    refused($db, 'blocked: column', sub { $db->selectrow_array('SELECT card_number FROM shop.payments') });
    refused($db, 'not granted: delete', sub { $db->do('DELETE FROM shop.orders WHERE id = ?', undef, 1) });
    refused($db, 'not granted: copy', sub { $db->do('COPY shop.customers TO STDOUT') });
    refused($db, 'not granted: listen', sub { $db->do('LISTEN news') });
    refused($db, 'server files', sub { $db->selectrow_array(q(SELECT pg_read_file('/etc/passwd'))) });
    $db->begin_work;
    refused($db, 'blocked: in a transaction', sub { $db->do('SELECT * FROM shop.salaries') });
    refused($db, 'failed transaction', sub { $db->do('SELECT 1') });
    $db->rollback;
}

sub writer {
    my $db = connected();
    $db->do('LISTEN news');
    $db->do(q(NOTIFY news, 'told'));
    tell_line('notified', ok => truth($db->pg_notifies->[2] eq 'told'));
    $db->begin_work;
    $db->do("DECLARE c CURSOR FOR $masked 20 ORDER BY id");
    customers('FETCH', $db->prepare('FETCH ALL FROM c'));
    $db->do("PREPARE p (int) AS $masked \$1 ORDER BY id");
    customers('EXECUTE', $db->prepare('EXECUTE p (20)')) for 1 .. 2;
    $db->do("CREATE TEMP TABLE seen AS $masked 20");
    customers('temporary table', $db->prepare('SELECT * FROM seen WHERE id <= ? ORDER BY id'), 20);
    my $lines = copied_out($db, "COPY ($masked 20 ORDER BY id) TO STDOUT");
    chomp @$lines;
    tell_line('COPY', customers => [map { [map { $_ eq '\N' ? undef : $_ } split /\t/] } @$lines]);
    refused($db, 'blocked: COPY', sub { $db->do('COPY shop.salaries TO STDOUT') });
    refused($db, 'failed transaction', sub { $db->do('SELECT 1') });
    $db->rollback;
    $db->disconnect;
}

# Statements held prepared while policies change: it asks before, waits for a line, asks again.
sub changed {
    my $db = connected(pg_server_prepare => 1, pg_switch_prepared => 1);
    my $statement = $db->prepare('SELECT * FROM shop.customers WHERE id = ?');
    do {
        my $row = eval { $statement->execute(1); $statement->fetchall_arrayref({})->[0] };
        tell_line('prepared', found => $row ? "$statement->{NUM_OF_FIELDS} $row->{email}" : $db->state);
        tell_line('asked');
    } while (<STDIN>);
    $db->disconnect;
}

{same => \&same, analyst => \&analyst, writer => \&writer, changed => \&changed}->{$ARGV[-1]}->();
tell_line('done');
