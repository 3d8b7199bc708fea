import java.sql.*;
import java.util.*;

/** DatabaseMetaData: what JDBC tools ask before they show anything. */
final class Metadata {
    public static void main(String[] arguments) throws Exception {
        try (Connection db = Lines.connected("")) {
            ask(db.getMetaData());
        }
        Lines.print("done");
    }

    private static void ask(DatabaseMetaData of) throws Exception {
        String[] types = {"TABLE", "VIEW", "PARTITIONED TABLE", "INDEX", "SEQUENCE", "TYPE"};
        tell("getSchemas", of::getSchemas);
        tell("getTableTypes", of::getTableTypes);
        tell("getTables", () -> of.getTables(null, "shop", "%", types));
        tell("getTables of all", () -> of.getTables(null, null, "customers", null));
        tell("getColumns", () -> of.getColumns(null, "shop", "%", "%"));
        for (String table : new String[] {"customers", "orders", "payments", "salaries"}) {
            tell("getPrimaryKeys " + table, () -> of.getPrimaryKeys(null, "shop", table));
            tell("getImportedKeys " + table, () -> of.getImportedKeys(null, "shop", table));
            tell("getExportedKeys " + table, () -> of.getExportedKeys(null, "shop", table));
            tell("getIndexInfo " + table, () -> of.getIndexInfo(null, "shop", table, false, true));
            tell("getBestRowIdentifier " + table,
                    () -> of.getBestRowIdentifier(null, "shop", table, DatabaseMetaData.bestRowSession, true));
            tell("getTablePrivileges " + table, () -> of.getTablePrivileges(null, "shop", table));
            tell("getColumnPrivileges " + table, () -> of.getColumnPrivileges(null, "shop", table, "%"));
            tell("getVersionColumns " + table, () -> of.getVersionColumns(null, "shop", table));
        }
        tell("getCrossReference", () -> of.getCrossReference(null, "shop", "customers", null, "shop", "orders"));
        tell("getFunctions", () -> of.getFunctions(null, "shop", "%"));
        tell("getFunctionColumns", () -> of.getFunctionColumns(null, "shop", "%", "%"));
        tell("getProcedures", () -> of.getProcedures(null, "shop", "%"));
        tell("getProcedureColumns", () -> of.getProcedureColumns(null, "shop", "%", "%"));
        tell("getUDTs", () -> of.getUDTs(null, "shop", "%", null));
        tell("getTypeInfo", of::getTypeInfo);
        tell("getClientInfoProperties", of::getClientInfoProperties);
        Lines.print("facts", "found", List.of(of.getDatabaseMajorVersion(), of.getDatabaseProductVersion(),
                of.getMaxColumnNameLength(), of.getMaxColumnsInIndex(), of.getSQLKeywords(), of.getSearchStringEscape(),
                of.getDefaultTransactionIsolation(), of.supportsSavepoints()));
    }

    private interface Question {
        ResultSet ask() throws SQLException;
    }

    private static void tell(String what, Question question) throws Exception {
        Lines.tell(what, () -> Lines.rows(question.ask()));
    }
}
