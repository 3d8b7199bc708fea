# ruby-pg: simple, parameters, prepared, text and binary, asynchronous, pipelines, single rows, COPY, NOTIFY, cancel.
require 'json'
require 'pg'

MASKED = 'SELECT id, email, ssn, phone, birth_date, balance, preferences, tags, signature ' \
         'FROM shop.customers WHERE id <= '.freeze
FIELDS = %i[SEVERITY_NONLOCALIZED SQLSTATE MESSAGE_PRIMARY MESSAGE_DETAIL MESSAGE_HINT STATEMENT_POSITION TABLE_NAME
            CONSTRAINT_NAME SOURCE_FUNCTION].map { |name| PG.const_get("PG_DIAG_#{name}") }

def tell(what, found = {})
  puts JSON.generate({ what: what }.merge(found))
end

def seen(error)
  { error: error.result ? FIELDS.map { |field| error.result.error_field(field) } : error.message }
end

def try(what)
  tell(what, yield)
rescue PG::Error => e
  tell(what, seen(e))
end

def refused(what)
  yield
  tell(what, sqlstate: 'none')
rescue PG::Error => e
  tell(what, sqlstate: e.result ? e.result.error_field(PG::PG_DIAG_SQLSTATE) : e.message)
end

def found(result)
  columns = (0...result.nfields).map do |i|
    [result.fname(i), result.ftype(i), result.fmod(i), result.ftable(i), result.ftablecol(i), result.fformat(i)]
  end
  { status: result.cmd_status, columns: columns, rows: shown(result) }
end

def shown(result)
  result.values.map do |row|
    row.each_with_index.map { |value, i| value && (result.fformat(i) == 1 ? value.unpack1('H*') : value) }
  end
end

WAYS = {
  'simple' => ->(db, sql) { db.exec(sql) },
  'parameters' => ->(db, sql) { db.exec_params(sql, []) },
  'binary' => ->(db, sql) { db.exec_params(sql, [], 1) },
  'prepared' => ->(db, sql) { [db.prepare('', sql), db.exec_prepared('', [])].last },
  'asynchronous' => ->(db, sql) { [db.send_query(sql), db.get_last_result].last }
}.freeze

FEW = 'SELECT id, name, birth_date, balance, tags FROM shop.customers WHERE id BETWEEN $1 AND $2 ORDER BY id'

def same
  WAYS.each do |way, ask|
    db = PG.connect
    db.set_notice_processor { |text| tell("#{way} notice", text: text) }
    File.readlines(ENV.fetch('SAME_SQL'), chomp: true).each do |sql|
      try("#{way}: #{sql}") { found(ask.call(db, sql)) }
    end
    db.close
  end
  db = PG.connect
  prepared(db)
  single_rows(db)
  pipelines(db)
  copies(db)
  notifications(db)
  cancelled(db)
  large_objects(db)
  db.close
end

def large_objects(db)
  db.transaction do
    number = db.lo_creat
    place = db.lo_open(number, PG::INV_WRITE | PG::INV_READ)
    db.lo_write(place, 'large')
    db.lo_lseek(place, 1, PG::SEEK_SET)
    tell('large object', read: db.lo_read(place, 3), closed: db.lo_close(place), gone: db.lo_unlink(number))
  end
end

def prepared(db)
  db.prepare('few', FEW)
  (1..3).each { |low| tell('by name', found(db.exec_prepared('few', [low, low + 3], low % 2))) }
  described = db.describe_prepared('few')
  tell('described', parameters: (0...described.nparams).map { |i| described.paramtype(i) }, columns: described.fields)
  try('a taken name') { found(db.prepare('few', FEW)) }
  try('a wrong parameter') { found(db.exec_prepared('few', %w[one 2])) }
  try('too few parameters') { found(db.exec_prepared('few', [1])) }
  db.exec('DEALLOCATE few')
  try('gone') { found(db.exec_prepared('few', [1, 2])) }
  typed = PG::BasicTypeMapForResults.new(db)
  tell('typed', rows: db.exec('SELECT 1, 2.5, true, ARRAY[1, 2], now() IS NULL').map_types!(typed).values)
end

def single_rows(db)
  db.send_query('SELECT g FROM generate_series(1, 5) AS g; SELECT 2 AS b; SELECT 1/0')
  db.set_single_row_mode
  while (result = db.get_result)
    try('single row') { found(result.check) }
  end
end

def pipelines(db)
  db.enter_pipeline_mode
  5.times { |n| db.send_query_params('SELECT 10 / ($1::int - 2)', [n]) }
  db.pipeline_sync
  5.times { |n| db.send_query_params('SELECT $1::int', [n]) }
  db.pipeline_sync
  tell('pipeline', answers: pipelined(db, 2))
  db.exit_pipeline_mode
end

def pipelined(db, syncs)
  answers = []
  while syncs.positive?
    result = db.get_result
    next if result.nil?

    syncs -= 1 if result.result_status == PG::PGRES_PIPELINE_SYNC
    answers << [result.res_status(result.result_status), result.error_message, result.values]
  end
  answers
end

def copies(db)
  db.exec('CREATE TEMP TABLE copied (a int, b text)')
  db.copy_data('COPY copied FROM STDIN') { 3000.times { |n| db.put_copy_data("#{n}\trow #{n}\n") } }
  try('copied') { found(db.exec('SELECT count(*), sum(a) FROM copied')) }
  try('a bad copy') { db.copy_data('COPY copied FROM STDIN') { db.put_copy_data("x\ty\n") } && {} }
  try('a copy given up') { db.copy_data('COPY copied FROM STDIN') { raise 'given up' } } rescue tell('a copy given up')
  tell('copied out', lines: copied_out(db, 'COPY (SELECT * FROM copied WHERE a < 5) TO STDOUT'))
  db.exec('DROP TABLE copied')
end

def copied_out(db, sql)
  lines = []
  db.copy_data(sql) { while (line = db.get_copy_data); lines << line; end }
  lines
end

def notifications(db)
  db.exec('LISTEN news')
  db.exec("SELECT pg_notify('news', 'told')")
  db.wait_for_notify(5) { |channel, _, payload| tell('notified', channel: channel, payload: payload) }
  db.exec('UNLISTEN *')
end

def cancelled(db)
  db.send_query('SELECT pg_sleep(60)')
  sleep 0.3
  tell('cancel', answer: db.cancel)
  try('cancelled') { found(db.get_last_result) }
  try('after the cancel') { found(db.exec('SELECT 1')) }
end

def customers(what, result)
  tell(what, customers: result.values)
end

def analyst
  db = PG.connect
  customers('simple', db.exec("#{MASKED} 20 ORDER BY id"))
  customers('parameters', db.exec_params("#{MASKED} $1 ORDER BY id", [20]))
  db.prepare('masked', "#{MASKED} $1 ORDER BY id")
  2.times { customers('prepared', db.exec_prepared('masked', [20])) }
  binary = db.exec_prepared('masked', [20], 1)
  text = db.exec_params("#{MASKED} $1 ORDER BY id", [20])
  [1, 2, 3].each { |i| tell('binary texts', ok: bytes(binary, i) == bytes(text, i)) }
  days = binary.column_values(4).map { |value| value && (Time.utc(2000) + value.unpack1('l>') * 86_400).strftime('%F') }
  tell('binary dates', ok: days == text.column_values(4))
  tell('binary documents', ok: binary.column_values(6).uniq == ["\x01\"REDACTED\""])
  refusals(db)
  pipelined_refusal(db)
  db.send_query('SELECT count(*) FROM shop.orders AS a, shop.orders AS b, shop.orders AS c')
  sleep 0.3
  db.cancel
  tell('cancelled', ok: db.get_result.error_field(PG::PG_DIAG_SQLSTATE) == '57014' && db.get_result.nil?)
  customers('after refusals', db.exec("#{MASKED} 20 ORDER BY id"))
  db.close
end

def bytes(result, column)
  result.column_values(column).map { |value| value&.b }
end

def refusals(db)
  refused('blocked: simple') { db.exec('SELECT * FROM shop.salaries') }
  refused('blocked: several') { db.exec('SELECT 1; SELECT * FROM shop.salaries') }
  refused('blocked: parameters') { db.exec_params('SELECT * FROM shop.salaries WHERE amount > $1', [1]) }
  refused('blocked: column') { db.exec_params('SELECT card_number FROM shop.payments', [], 1) }
  refused('blocked: prepared') { db.prepare('blocked', 'SELECT * FROM shop.salaries') }
  refused('not granted: delete') { db.exec('DELETE FROM shop.orders') }
  refused('not granted: copy') { copied_out(db, 'COPY shop.customers TO STDOUT') }
  refused('not granted: listen') { db.exec('LISTEN news') }
  refused('large objects') { db.exec('SELECT lo_create(0)') }
  tell('function call', ok: function_call_fails(db))
  db.exec('BEGIN')
  refused('blocked: in a transaction') { db.exec('SELECT * FROM shop.salaries') }
  refused('failed transaction') { db.exec('SELECT 1') }
  db.exec('ROLLBACK')
end

# libpq asks for large objects by FunctionCall; ruby-pg keeps no result of such an error.
def function_call_fails(db)
  db.lo_creat && false
rescue PG::Error => e
  e.message.include?('lo_creat failed')
end

def pipelined_refusal(db)
  db.enter_pipeline_mode
  ['SELECT 1', 'SELECT * FROM shop.salaries', 'SELECT 2'].each { |sql| db.send_query_params(sql, []) }
  db.pipeline_sync
  statuses = pipelined(db, 1).map(&:first)
  expected = %w[PGRES_TUPLES_OK PGRES_FATAL_ERROR PGRES_PIPELINE_ABORTED PGRES_PIPELINE_SYNC]
  tell('pipeline', ok: statuses == expected)
  db.exit_pipeline_mode
end

def writer
  db = PG.connect
  db.exec("LISTEN news; NOTIFY news, 'told'")
  tell('notified', ok: db.wait_for_notify(5) == 'news')
  db.exec("BEGIN; DECLARE c SCROLL CURSOR FOR #{MASKED} 20 ORDER BY id")
  customers('FETCH', db.exec('FETCH ALL FROM c'))
  db.exec('MOVE ABSOLUTE 0 FROM c')
  customers('FETCH with parameters', db.exec_params('FETCH FORWARD 100 FROM c', []))
  db.exec('COMMIT')
  db.exec("PREPARE p (int) AS #{MASKED} $1 ORDER BY id")
  customers('EXECUTE', db.exec('EXECUTE p (20)'))
  db.exec("CREATE TEMP TABLE seen AS #{MASKED} 20")
  customers('temporary table', db.exec('SELECT * FROM seen ORDER BY id'))
  copied = copied_out(db, "COPY (#{MASKED} 20 ORDER BY id) TO STDOUT")
  tell('COPY', customers: copied.map { |line| line.chomp.split("\t").map { |value| value == '\N' ? nil : value } })
  refused('blocked: COPY') { copied_out(db, 'COPY shop.salaries TO STDOUT') }
  refused('blocked: PREPARE') { db.exec('PREPARE b AS TABLE shop.salaries') }
  db.close
end

# Statements held prepared while policies change: it asks before, waits for a line, asks again.
def changed
  db = PG.connect
  db.prepare('changed', 'SELECT * FROM shop.customers WHERE id = $1')
  loop do
    found = begin
      result = db.exec_prepared('changed', [1])
      "#{result.nfields} #{result[0]['email']}"
    rescue PG::Error => e
      e.result.error_field(PG::PG_DIAG_SQLSTATE)
    end
    tell('prepared', found: found)
    tell('asked')
    break unless $stdin.gets
  end
end

$stdout.sync = true
send(ARGV.last)
tell('done')
