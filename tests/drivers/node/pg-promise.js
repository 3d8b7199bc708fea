// pg-promise: its result checks, named parameters, tasks, transactions and prepared statements, over node-postgres.
const pgPromise = require('pg-promise')()
const { MASKED, print, seen, refused, customers, main } = require('./lines')

pgPromise.pg.types.setTypeParser(pgPromise.pg.types.builtins.DATE, (value) => value)
const connected = () => pgPromise({ max: 3 })

async function same() {
  const db = connected()
  print('any', { rows: await db.any('SELECT * FROM shop.customers WHERE id BETWEEN $1 AND $2 ORDER BY id', [3, 20]) })
  print('named', { row: await db.one('SELECT name, email FROM shop.customers WHERE id = ${id}', { id: 3 }) })
  print('one of none', await db.one('SELECT 1 WHERE false').catch(({ message, code }) => ({ message, code })))
  const prepared = { name: 'by id', text: 'SELECT id, name FROM shop.customers WHERE id = $1' }
  const byId = (one, id) => one.one({ ...prepared, values: [id] })
  print('prepared', { rows: await db.task(async (one) => [await byId(one, 1), await byId(one, 2)]) })
  print('several', { rows: (await db.multi('SELECT 1 AS a; SELECT 2 AS b')) })
  const failed = db.tx(async (outer) => {
    const update = 'UPDATE shop.orders SET note = $1 WHERE id < 3 RETURNING id, note'
    print('changed', { rows: await outer.any(update, ['x']) })
    print('savepoint', await outer.tx((inner) => inner.any('SELECT 1/0')).catch(seen))
    const table = { schema: 'shop', table: 'tenants' }
    const rows = [{ id: 8, name: 'h' }, { id: 9, name: 'i' }]
    print('added', { rows: await outer.any(pgPromise.helpers.insert(rows, ['id', 'name'], table) + ' RETURNING *') })
    throw new Error('rolled back')
  })
  print('transaction', await failed.catch(({ message }) => ({ message })))
  print('function', { rows: await db.func('shop.safe_report', ['2025-03-01']) })
  await db.$pool.end()
}

async function analyst() {
  const db = connected()
  print('any', { customers: customers(await db.any(MASKED + '$1 ORDER BY id', [20])) })
  const prepared = { name: 'masked', text: MASKED + '$1 ORDER BY id', values: [20] }
  const twice = db.task(async (one) => [await one.any(prepared), await one.any(prepared)])
  for (const rows of await twice) print('prepared', { customers: customers(rows) })
  await refused('blocked: any', () => db.any('SELECT * FROM shop.salaries'))
  await refused('blocked: several', () => db.multi('SELECT 1; SELECT * FROM shop.salaries'))
  await refused('not granted: delete', () => db.none('DELETE FROM shop.orders'))
  print('after refusals', { ok: (await db.one('SELECT 1 AS one')).one === 1 })
  await db.$pool.end()
}

async function writer() {
  const db = connected()
  const failed = db.tx(async (one) => {
    await one.none(`DECLARE c CURSOR FOR ${MASKED} 20 ORDER BY id`)
    print('FETCH', { customers: customers(await one.any('FETCH ALL FROM c')) })
    await one.none(`PREPARE p (int) AS ${MASKED} $1 ORDER BY id`)
    print('EXECUTE', { customers: customers(await one.any('EXECUTE p (20)')) })
    const foreign = 'INSERT INTO shop.orders (tenant_id, customer_id, ordered_at) VALUES (2, 1, now())'
    await refused("another tenant's row", () => one.tx((inner) => inner.none(foreign)))
    await refused('blocked: PREPARE', () => one.none('PREPARE b AS TABLE shop.salaries'))
    throw new Error('rolled back')
  })
  print('transaction', { ok: await failed.catch(({ message }) => message === 'rolled back') })
  await db.$pool.end()
}

main({ same, analyst, writer })
